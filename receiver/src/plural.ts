/** `1 event waits`, `2 events wait`: the number with the words that fit it. */
export const countOf = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`
