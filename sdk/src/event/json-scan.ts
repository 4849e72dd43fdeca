/** What a text of JSON holds, found without building it. Of a text that is no JSON the numbers mean nothing. */
export interface JsonScan {
  /** Values of every kind, keys not counted. */
  values: number
  objects: number
  arrays: number
  depth: number
}

const quote = 0x22
const backslash = 0x5c

/**
 * Counts what JSON.parse would build: one pass over the bytes, strings are passed over by a search for their end. Ends as
 * soon as one of the limits is passed.
 */
export function scanJson(bytes: Uint8Array, limits: { values: number; depth: number }): JsonScan {
  const scan: JsonScan = { values: 1, objects: 0, arrays: 0, depth: 0 }
  let depth = 0
  const { length } = bytes
  for (let i = 0; i < length; i++) {
    const byte = bytes[i]!
    if (byte === quote) {
      i = endOfString(bytes, i)
    } else if (byte === 0x7b || byte === 0x5b) {
      if (byte === 0x7b) scan.objects++
      else scan.arrays++
      // Its first member, if it has one: an empty one counts as its own.
      scan.values++
      depth++
      if (depth > scan.depth) {
        scan.depth = depth
        if (depth > limits.depth) return scan
      }
      if (scan.values > limits.values) return scan
    } else if (byte === 0x7d || byte === 0x5d) depth--
    else if (byte === 0x2c && ++scan.values > limits.values) return scan
  }
  return scan
}

/** The place of the closing quote, or the end. */
function endOfString(bytes: Uint8Array, start: number): number {
  for (let end = bytes.indexOf(quote, start + 1); end >= 0; end = bytes.indexOf(quote, end + 1)) {
    let before = end - 1
    while (before > start && bytes[before] === backslash) before--
    if ((end - before) % 2 === 1) return end
  }
  return bytes.length
}

/** Replaces bare words and numbers of a text of JSON, those outside of strings, where `replace` gives a text. */
export function replaceBare(text: string, replace: (word: string) => string | undefined): string {
  let out = ''
  let copied = 0
  for (let i = 0; i < text.length; ) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      i = endOfText(text, i) + 1
      continue
    }
    if (!isWord(code)) {
      i++
      continue
    }
    const start = i
    while (i < text.length && isWord(text.charCodeAt(i))) i++
    const replacement = replace(text.slice(start, i))
    if (replacement === undefined) continue
    out += text.slice(copied, start) + replacement
    copied = i
  }
  return copied === 0 ? text : out + text.slice(copied)
}

function endOfText(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (before > start && text.charCodeAt(before) === backslash) before--
    if ((end - before) % 2 === 1) return end
  }
  return text.length
}

/** Of a number, of `true`, `NaN` and the like. */
function isWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x2d ||
    code === 0x2b ||
    code === 0x2e
  )
}
