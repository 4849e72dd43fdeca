/** What the event of this number carries, so that whoever reads it can tell whether it is whole. */
export function textOf(number: number): string {
  return `é${number}💡`.repeat(number % 40)
}
