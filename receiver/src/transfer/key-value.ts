export interface KeyValues {
  message: string
  pairs: [key: string, value: string][]
}

/**
 * Text of a log line → its message and the pairs at its end, as structlog's console writes them:
 *
 *     lid is open   plate='A 1' count=3 wells=['A1', 'B2']
 *     └─ message ─┘ └─ pairs ─────────────────────────────┘
 *
 * The message ends where nothing but pairs follows. A value is quoted with backslash escapes, in brackets, or without white
 * space. Takes time in proportion to the text, whatever it holds: each place is looked at a fixed number of times.
 */
export function splitKeyValues(text: string): KeyValues {
  const end = text.trimEnd().length
  const ends = findEnds(text, end)
  // From the right: which pair follows each pair that leads to the end.
  const after = new Map<number, number>()
  let first: number | undefined
  for (let at = end - 1; at >= 0; at--) {
    if (!isKeyStart(text, at)) continue
    const next = findNext(text, { at, end, ends, after })
    if (next === undefined) continue
    after.set(at, next)
    first = at
  }
  const pairs: KeyValues['pairs'] = []
  for (let at = first; at !== undefined && at < end; at = after.get(at)) {
    const equals = text.indexOf('=', at)
    pairs.push([text.slice(at, equals), text.slice(equals + 1, after.get(at)).trimEnd()])
  }
  return { message: text.slice(0, first ?? end).trim(), pairs }
}

interface Ends {
  /** By kind of value: the place behind a value that begins here; 0 when it has no end. */
  single: Uint32Array
  double: Uint32Array
  list: Uint32Array
  object: Uint32Array
  /** The next white space from here on, or the end. */
  space: Uint32Array
}

function findEnds(text: string, end: number): Ends {
  const make = () => new Uint32Array(end + 2)
  const ends: Ends = { single: make(), double: make(), list: make(), object: make(), space: make() }
  ends.space[end] = end
  for (let at = end - 1; at >= 0; at--) {
    const char = text[at]!
    const isEscape = char === '\\'
    ends.single[at] = char === "'" ? at + 1 : isEscape ? ends.single[at + 2]! : ends.single[at + 1]!
    ends.double[at] = char === '"' ? at + 1 : isEscape ? ends.double[at + 2]! : ends.double[at + 1]!
    ends.list[at] = char === ']' ? at + 1 : ends.list[at + 1]!
    ends.object[at] = char === '}' ? at + 1 : ends.object[at + 1]!
    ends.space[at] = isSpace(char) ? at : ends.space[at + 1]!
  }
  return ends
}

/** The place of the next pair, or the end; undefined when something else follows this pair. */
function findNext(
  text: string,
  { at, end, ends, after }: { at: number; end: number; ends: Ends; after: Map<number, number> },
): number | undefined {
  let equals = at
  while (isWord(text[equals])) equals++
  if (text[equals] !== '=' || equals + 1 >= end) return undefined
  const begin = equals + 1
  for (const close of [closeOf(text, begin, ends), ends.space[begin]!]) {
    if (close <= begin) continue
    if (close >= end) return end
    let next = close
    while (next < end && isSpace(text[next])) next++
    if (next > close && after.has(next)) return next
  }
  return undefined
}

/** Behind the value that its first character opens; 0 for one that opens none, or that has no end. */
function closeOf(text: string, begin: number, ends: Ends): number {
  switch (text[begin]) {
    case "'":
      return ends.single[begin + 1]!
    case '"':
      return ends.double[begin + 1]!
    case '[':
      return ends.list[begin + 1]!
    case '{':
      return ends.object[begin + 1]!
    default:
      return 0
  }
}

function isKeyStart(text: string, at: number): boolean {
  return isWord(text[at]) && at > 0 && isSpace(text[at - 1])
}

const isSpace = (char: string | undefined) => char !== undefined && char.trim() === ''

function isWord(char: string | undefined): boolean {
  if (char === undefined) return false
  return (
    (char >= 'a' && char <= 'z') ||
    (char >= 'A' && char <= 'Z') ||
    (char >= '0' && char <= '9') ||
    char === '_'
  )
}
