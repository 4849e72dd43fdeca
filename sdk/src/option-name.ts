/** One problem for each member that is no option: what is misspelt would otherwise be passed over in silence. */
export function findUnknown(options: object, known: readonly string[], at: string): string[] {
  return Object.entries(options)
    .filter(([name, value]) => value !== undefined && !known.includes(name))
    .map(([name]) => {
      const nearest = known.find((one) => isNear(name.toLowerCase(), one.toLowerCase()))
      return `${at}${name} is no option${nearest === undefined ? '' : `: is ${nearest} meant?`}`
    })
}

/** At most two letters more, fewer or other. */
function isNear(one: string, other: string): boolean {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1]
      next[j] = Math.min(row[j - 1]! + (isSame ? 0 : 1), row[j]! + 1, next[j - 1]! + 1)
    }
    row = next
  }
  return row[other.length]! <= Math.min(2, Math.floor(other.length / 2))
}
