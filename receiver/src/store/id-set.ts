/**
 * Which ids were seen, at 16 bytes each: 64 bits of a hash stand for an id, in a table with open addressing.
 * Among ten million ids the chance that any two are taken for one is 1 in 400,000.
 */
export interface IdSet {
  /** False when it was there. */
  add(id: string): boolean
  readonly size: number
}

const seed = Math.floor(Math.random() * 2 ** 32)

export function createIdSet(): IdSet {
  let capacity = 1024
  let high = new Uint32Array(capacity)
  let low = new Uint32Array(capacity)
  let size = 0

  function put(a: number, b: number): boolean {
    const mask = capacity - 1
    let at = b & mask
    while (low[at] !== 0 || high[at] !== 0) {
      if (low[at] === b && high[at] === a) return false
      at = (at + 1) & mask
    }
    high[at] = a
    low[at] = b
    return true
  }

  function grow(): void {
    const [oldHigh, oldLow] = [high, low]
    capacity *= 2
    high = new Uint32Array(capacity)
    low = new Uint32Array(capacity)
    for (let i = 0; i < oldLow.length; i++)
      if (oldLow[i] !== 0 || oldHigh[i] !== 0) put(oldHigh[i]!, oldLow[i]!)
  }

  return {
    add(id) {
      let a = seed
      let b = seed ^ 0x9e3779b9
      for (let i = 0; i < id.length; i++) {
        const code = id.charCodeAt(i)
        a = Math.imul(a ^ code, 0x85ebca6b)
        a ^= a >>> 15
        b = Math.imul(b ^ code, 0xc2b2ae35)
        b ^= b >>> 13
      }
      // 0, 0 marks an empty place.
      if (!put(a >>> 0, (b | 1) >>> 0)) return false
      size++
      if (size * 2 > capacity) grow()
      return true
    },
    get size() {
      return size
    },
  }
}
