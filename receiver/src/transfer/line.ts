/** In place of a line of more characters than are kept. */
export const tooLong = Symbol('too long')

/**
 * Lines of a text that comes in pieces; LF or CR LF ends one. Of a line of more than `maxChars` nothing is kept. Node's
 * readline also ends lines at U+2028 and U+2029, which stand in JSON as they are, and keeps a line however long.
 */
export async function* readLines(
  pieces: AsyncIterable<string>,
  maxChars: number,
): AsyncGenerator<string | typeof tooLong> {
  let parts: string[] = []
  let chars = 0

  function add(part: string): void {
    chars += part.length
    if (chars > maxChars) parts = []
    else parts.push(part)
  }

  function finish(): string | typeof tooLong {
    const line = chars > maxChars ? tooLong : parts.join('')
    parts = []
    chars = 0
    return line !== tooLong && line.endsWith('\r') ? line.slice(0, -1) : line
  }

  for await (const piece of pieces) {
    let start = 0
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', start)) {
      add(piece.slice(start, end))
      yield finish()
      start = end + 1
    }
    add(piece.slice(start))
  }
  if (chars > 0) yield finish()
}
