/**
 * Lines of a text that comes in pieces; LF or CR LF ends one. Node's readline also ends lines at U+2028 and U+2029, which stand
 * in JSON as they are.
 */
export async function* readLines(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  const trim = (line: string) => (line.endsWith('\r') ? line.slice(0, -1) : line)
  for await (const piece of pieces) {
    let start = 0
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', start)) {
      yield trim(rest + piece.slice(start, end))
      rest = ''
      start = end + 1
    }
    rest += piece.slice(start)
  }
  if (rest !== '') yield trim(rest)
}
