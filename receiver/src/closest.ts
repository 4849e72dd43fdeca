const maxLength = 40

/** The one of `names` that a typo was meant for: at most two letters wrong, and one of a short word; or an abbreviation. Undefined when none is. */
export function closestTo(word: string, names: Iterable<string>): string | undefined {
  if (word.length > maxLength) return undefined
  let found: string | undefined
  let least = (word.length < 5 ? 1 : 2) + 1
  const all = [...names]
  for (const name of all) {
    if (Math.abs(name.length - word.length) >= least) continue
    const distance = distanceOf(word, name)
    if (distance >= least) continue
    least = distance
    found = name
  }
  return found ?? all.find((name) => abbreviates(word, name))
}

/** `lvl` for `level`: at least half of its letters, in their order, the first among them. */
function abbreviates(word: string, name: string): boolean {
  if (word.length < 3 || word.length * 2 < name.length || word[0] !== name[0]) return false
  let at = 0
  for (const letter of name) if (letter === word[at]) at += 1
  return at === word.length
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
