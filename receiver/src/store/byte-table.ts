/**
 * What was made of a part of longer text, found again by its bytes: of a million events most have one of a few sources and
 * types. It forgets everything when it is full, so ids that pass through cost no memory.
 */
export interface ByteTable<Value> {
  /** Of the part of the text that begins here and ends with the table's last byte. */
  get(text: DataView, from: number): Value
}

export interface ByteTableOptions<Value> {
  /** The part goes up to the first of it, which is included. */
  lastByte: number
  /** Bytes by which most parts are told apart, as places behind the first byte. */
  tellAt: readonly [number, number, number, number]
  make(part: string, byteLength: number): Value
}

interface Entry<Value> {
  bytes: DataView
  value: Value
  isWhole: boolean
}

const recentSlots = 1024
const maxEntries = 5000
const maxOfKey = 16

export function createByteTable<Value>({
  lastByte,
  tellAt,
  make,
}: ByteTableOptions<Value>): ByteTable<Value> {
  // The last one of each slot: mostly the right one, and then nobody needs to know where the part ends.
  const recent: (Entry<Value> | undefined)[] = new Array(recentSlots).fill(undefined)
  const byKey = new Map<number, Entry<Value>[]>()
  const [first, second, third, fourth] = tellAt
  const furthest = Math.max(...tellAt)
  let count = 0

  function find(text: DataView, from: number): Entry<Value> {
    let to = from
    while (to < text.byteLength && text.getUint8(to) !== lastByte) to++
    const isWhole = to < text.byteLength
    if (isWhole) to++
    let key = to - from
    for (let at = to - 2; at >= from; at -= 5) key = (Math.imul(key, 31) + text.getUint8(at)) | 0
    const known = byKey.get(key)
    if (known) for (const entry of known) if (isAt(entry.bytes, text, from)) return entry
    const bytes = Buffer.from(new Uint8Array(text.buffer, text.byteOffset + from, to - from))
    const entry = {
      bytes: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      value: make(bytes.toString(), bytes.length),
      isWhole,
    }
    // The beginning of another part is not that part.
    if (!isWhole) return entry
    if (count++ >= maxEntries) {
      byKey.clear()
      recent.fill(undefined)
      count = 0
    }
    const neighbours = byKey.get(key)
    if (neighbours && neighbours.length < maxOfKey) neighbours.push(entry)
    else byKey.set(key, [entry])
    return entry
  }

  return {
    get(text, from) {
      if (from + furthest >= text.byteLength) return find(text, from).value
      const told = text.getUint8(from + first) ^ (text.getUint8(from + second) << 3)
      const further = (text.getUint8(from + third) << 5) ^ (text.getUint8(from + fourth) << 1)
      const slot = (told ^ further) & (recentSlots - 1)
      const likely = recent[slot]
      if (likely && isAt(likely.bytes, text, from)) return likely.value
      const entry = find(text, from)
      if (entry.isWhole) recent[slot] = entry
      return entry.value
    },
  }
}

function isAt(part: DataView, text: DataView, from: number): boolean {
  if (from + part.byteLength > text.byteLength) return false
  // From the end, where ids differ, and four at once.
  let at = part.byteLength - 4
  for (; at >= 0; at -= 4) if (part.getInt32(at) !== text.getInt32(from + at)) return false
  for (at += 3; at >= 0; at--) if (part.getUint8(at) !== text.getUint8(from + at)) return false
  return true
}
