/** What an event says of a node, or of the system. */
export const rowKind = {
  /** The node is there. */
  known: 0,
  nodeStart: 1,
  nodeStop: 2,
  actionStart: 3,
  actionEnd: 4,
  experimentStart: 5,
  experimentEnd: 6,
} as const

/**
 * Columns of what was read, in the order of time, equal times in the order of arrival:
 *
 *     micros  8 bytes │ kind 1 │ node 4 (number, 0 = none) │ what 8 (hash of an action, number of an experiment)
 *
 * A row that is not behind all others waits in a list of late ones until `settle` merges them in. The oldest may be dropped.
 */
export interface Rows {
  readonly count: number
  readonly micros: Float64Array
  readonly kind: Uint8Array
  readonly node: Uint32Array
  readonly what: Float64Array
  /** Time of the last row that was dropped; −Infinity when none was. */
  readonly droppedThrough: number
  /** A row came that belongs among the dropped ones: all must be read again. */
  readonly isBeyond: boolean
  add(micros: number, kind: number, node: number, what: number): void
  /** Forgets the rows up to that time, included. Only after `settle`. */
  drop(throughMicros: number): void
  settle(): void
  /** The first row at or behind that time. */
  firstAt(micros: number): number
  /** The first row behind that time. */
  firstAfter(micros: number): number
}

interface Late {
  micros: number
  kind: number
  node: number
  what: number
}

export function createRows(): Rows {
  let capacity = 1024
  let count = 0
  let micros = new Float64Array(capacity)
  let kind = new Uint8Array(capacity)
  let node = new Uint32Array(capacity)
  let what = new Float64Array(capacity)
  let late: Late[] = []
  let droppedThrough = Number.NEGATIVE_INFINITY
  let isBeyond = false

  function reserve(rows: number): void {
    if (rows <= capacity) return
    capacity = Math.max(rows, Math.ceil(capacity * 1.5))
    const grow = <T extends Float64Array | Uint8Array | Uint32Array>(grown: T, old: T): T => {
      grown.set(old.subarray(0, count))
      return grown
    }
    micros = grow(new Float64Array(capacity), micros)
    kind = grow(new Uint8Array(capacity), kind)
    node = grow(new Uint32Array(capacity), node)
    what = grow(new Float64Array(capacity), what)
  }

  function put(at: number, row: Late): void {
    micros[at] = row.micros
    kind[at] = row.kind
    node[at] = row.node
    what[at] = row.what
  }

  function firstAfter(time: number): number {
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (micros[middle]! <= time) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    get count() {
      return count
    },
    get micros() {
      return micros
    },
    get kind() {
      return kind
    },
    get node() {
      return node
    },
    get what() {
      return what
    },
    get droppedThrough() {
      return droppedThrough
    },
    get isBeyond() {
      return isBeyond
    },
    drop(throughMicros) {
      const first = firstAfter(throughMicros)
      micros = micros.slice(first, count)
      kind = kind.slice(first, count)
      node = node.slice(first, count)
      what = what.slice(first, count)
      count -= first
      capacity = count
      droppedThrough = Math.max(droppedThrough, throughMicros)
    },
    add(time, kindOf, nodeOf, whatOf) {
      if (time <= droppedThrough) {
        isBeyond = true
        return
      }
      if (count > 0 && time < micros[count - 1]!) {
        late.push({ micros: time, kind: kindOf, node: nodeOf, what: whatOf })
        return
      }
      reserve(count + 1)
      micros[count] = time
      kind[count] = kindOf
      node[count] = nodeOf
      what[count] = whatOf
      count++
    },
    settle() {
      if (late.length === 0) return
      late.sort((a, b) => a.micros - b.micros)
      reserve(count + late.length)
      // From the end, so that each row moves once; a late one goes behind its equals, which came before it.
      let from = count - 1
      let to = count + late.length - 1
      for (let next = late.pop(); next; next = late.pop()) {
        while (from >= 0 && micros[from]! > next.micros) {
          micros[to] = micros[from]!
          kind[to] = kind[from]!
          node[to] = node[from]!
          what[to] = what[from]!
          from--
          to--
        }
        put(to, next)
        to--
        count++
      }
      late = []
    },
    firstAt(time) {
      let low = 0
      let high = count
      while (low < high) {
        const middle = (low + high) >>> 1
        if (micros[middle]! < time) low = middle + 1
        else high = middle
      }
      return low
    },
    firstAfter,
  }
}
