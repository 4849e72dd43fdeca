/** Positions as ranges [from, to), flat and ascending: [0, 3, 7, 8] is 0 1 2 7. */
export type Ranges = readonly number[]

export function toRanges(positions: readonly number[]): number[] {
  const ranges: number[] = []
  for (const position of positions) {
    if (ranges.at(-1) === position) ranges[ranges.length - 1] = position + 1
    else ranges.push(position, position + 1)
  }
  return ranges
}

export function toPositions(ranges: Ranges): number[] {
  const positions: number[] = []
  for (let i = 0; i < ranges.length; i += 2) {
    for (let position = ranges[i]!; position < ranges[i + 1]!; position++) positions.push(position)
  }
  return positions
}

export function isWithin(ranges: Ranges, position: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) {
    if (position >= ranges[i]! && position < ranges[i + 1]!) return true
  }
  return false
}
