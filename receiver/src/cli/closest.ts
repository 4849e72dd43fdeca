const maxLength = 40

/** The one of `names` that a typo was meant for: at most two letters wrong, and about a third of them. Undefined when none is. */
export function closestTo(word: string, names: Iterable<string>): string | undefined {
  if (word.length > maxLength) return undefined
  let found: string | undefined
  let least = Math.min(2, Math.ceil(word.length / 3)) + 1
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= least) continue
    const distance = distanceOf(word, name)
    if (distance >= least) continue
    least = distance
    found = name
  }
  return found
}

/** Letters to add, drop, change or swap with the next one (optimal string alignment). */
function distanceOf(one: string, other: string): number {
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row += 1) {
    const now = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const isEqual = one[row - 1] === other[column - 1]
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      now[column] = Math.min(
        last[column]! + 1,
        now[column - 1]! + 1,
        last[column - 1]! + (isEqual ? 0 : 1),
        row > 1 && column > 1 && isSwapped ? before[column - 2]! + 1 : Number.POSITIVE_INFINITY,
      )
    }
    before = last
    last = now
  }
  return last[other.length]!
}
