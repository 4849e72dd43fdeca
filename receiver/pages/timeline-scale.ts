/** From time to the place on the drawing, and back. Both are microseconds; where nothing happened, the drawing may have fewer. */
export interface Scale {
  toDrawn(micros: number): number
  toTime(drawn: number): number
  /** Where time was left out: its place, and how much. */
  cuts: { at: number; micros: number }[]
}

export const plainScale: Scale = { toDrawn: (micros) => micros, toTime: (drawn) => drawn, cuts: [] }

/** A pause is as long as this part of all work. */
const pauseShare = 1 / 60

/** Shortens all pauses between `busy` times, which stand in the order of their starts. */
export function shortScale(busy: Iterable<readonly [start: number, end: number]>): Scale {
  const work: [number, number][] = []
  for (const [start, end] of busy) {
    const last = work.at(-1)
    if (last && start <= last[1]) last[1] = Math.max(last[1], end)
    else work.push([start, end])
  }
  if (work.length === 0) return plainScale
  const total = work.reduce((sum, [start, end]) => sum + end - start, 0)
  const pause = Math.max(1, (total / Math.max(1, Math.sqrt(work.length))) * pauseShare)
  // Knots: times, and where they are drawn. Before the first and behind the last, time runs as it is.
  const times: number[] = []
  const drawn: number[] = []
  const cuts: Scale['cuts'] = []
  let shift = 0
  let before = Number.NaN
  for (const [start, end] of work) {
    const gap = start - before
    if (gap > pause) {
      const at = before - shift
      shift += gap - pause
      cuts.push({ at: at + pause / 2, micros: gap - pause })
    }
    times.push(start, end)
    drawn.push(start - shift, end - shift)
    before = end
  }
  return {
    toDrawn: (micros) => interpolate(times, drawn, micros),
    toTime: (at) => interpolate(drawn, times, at),
    cuts,
  }
}

function interpolate(from: readonly number[], to: readonly number[], value: number): number {
  const last = from.length - 1
  if (value <= from[0]!) return to[0]! + value - from[0]!
  if (value >= from[last]!) return to[last]! + value - from[last]!
  let low = 0
  for (let high = last; high - low > 1; ) {
    const middle = (low + high) >> 1
    if (from[middle]! <= value) low = middle
    else high = middle
  }
  const width = from[low + 1]! - from[low]!
  return to[low]! + (width === 0 ? 0 : ((value - from[low]!) / width) * (to[low + 1]! - to[low]!))
}
