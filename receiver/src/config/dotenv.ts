type Environment = { readonly [name: string]: string | undefined }

/** From a position on, or not at all. */
const blank = /[^\S\r\n]*/y
const lines = /\s*/y
const exported = /export[^\S\r\n]+/y
const quotedKey = /'([^']+)'/y
const plainKey = /[^=#\s]+/y
const singleQuoted = /'((?:\\.|[^'\\])*)'/sy
const doubleQuoted = /"((?:\\.|[^"\\])*)"/sy
const plainValue = /[^\r\n]*/y
const lineEnd = /[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n|\n|\r|$)/y
const restOfLine = /[^\r\n]*(?:\r\n|\n|\r)?/y

const escapes: { [letter: string]: string } = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/**
 * Variables of a `.env` file as python-dotenv reads them, whose grammar MADSci's files are written in: `#` begins a comment
 * only behind a space, double quotes know escapes, `${NAME}` and `${NAME:-default}` stand for a variable of the file, else of
 * `environment`, wherever they stand. A line that is none is passed over. Source: python-dotenv 1.x, parser.py, variables.py.
 */
export function parseDotenv(
  text: string,
  environment: Environment,
  onPassedOver: (line: number, text: string) => void = () => {},
): { [name: string]: string } {
  const values = new Map<string, string | undefined>()
  let position = 0
  let line = 1
  let counted = 0

  /** Of a place that is not before the last one asked for. */
  function lineOf(place: number): number {
    for (; counted < place; counted++) if (text[counted] === '\n') line++
    return line
  }

  function take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = position
    const match = pattern.exec(text)
    if (!match) return undefined
    position += match[0].length
    return match
  }

  /** Undefined when it does not end. */
  function readValue(): string | undefined {
    const quote = text[position]
    if (quote === "'") return take(singleQuoted)?.[1]?.replace(/\\([\\'])/g, '$1')
    if (quote === '"')
      return take(doubleQuoted)?.[1]?.replace(
        /\\([\\'"abfnrtv])/g,
        (_, letter: string) => escapes[letter] ?? letter,
      )
    return withoutComment(take(plainValue)![0])
  }

  /** What follows `=`. Behind a space, `#` leaves nothing of the value. */
  function readAssigned(): string | undefined {
    position++
    const isApart = take(blank)![0] !== ''
    return isApart && text[position] === '#' ? '' : readValue()
  }

  for (take(lines); position < text.length; take(lines)) {
    take(exported)
    const from = position
    const isComment = text[position] === '#'
    const key = text[position] === "'" ? take(quotedKey)?.[1] : take(plainKey)?.[0]
    const isKey = key !== undefined || isComment
    if (isKey) take(blank)
    const isAssigned = isKey && text[position] === '='
    const value = isAssigned ? readAssigned() : undefined
    const isSound = isKey && (value !== undefined || !isAssigned) && take(lineEnd) !== undefined
    if (!isSound) {
      take(restOfLine)
      onPassedOver(lineOf(from), text.slice(from, position))
    } else if (key !== undefined)
      values.set(key, value === undefined ? undefined : expand(value, values, environment))
  }
  return Object.fromEntries([...values].map(([name, value]) => [name, value ?? '']))
}

/** Where a space and `#` stand, the value ends. */
function withoutComment(text: string): string {
  for (let at = text.indexOf('#'); at >= 0; at = text.indexOf('#', at + 1))
    if (at > 0 && /\s/.test(text[at - 1]!)) return text.slice(0, at).trimEnd()
  return text.trimEnd()
}

function expand(
  value: string,
  values: ReadonlyMap<string, string | undefined>,
  environment: Environment,
): string {
  let result = ''
  let from = 0
  for (let start = value.indexOf('${'); start >= 0; start = value.indexOf('${', from)) {
    const end = value.indexOf('}', start)
    if (end < 0) break
    const inner = value.slice(start + 2, end)
    const colon = inner.indexOf(':')
    const isReference = colon < 0 || inner.startsWith(':-', colon)
    result += value.slice(from, start)
    if (isReference) {
      const name = colon < 0 ? inner : inner.slice(0, colon)
      const known = values.has(name) ? values.get(name) : environment[name]
      result += known ?? (colon < 0 ? '' : inner.slice(colon + 2))
      from = end + 1
    } else {
      result += '${'
      from = start + 2
    }
  }
  return result + value.slice(from)
}
