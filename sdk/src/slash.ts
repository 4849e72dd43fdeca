/** A path, or a URL without a query, without the slashes at its end. */
export function trimEndSlashes(text: string): string {
  let end = text.length
  while (text[end - 1] === '/') end--
  return text.slice(0, end)
}
