/**
 * The search language, taken apart. One line of terms that must all hold, parted by blanks:
 *
 *     tip "no plate" node:robot-arm -type:log_info,log_debug level>=error since:2h {"event_data.count": 3}
 *
 *     term     = ["-"] ( selector | phrase | field operator value { "," value } | word )
 *     operator = ":" | "=" | ">=" | "<=" | ">" | "<"
 *     value    = phrase | characters without blank and comma
 *     phrase   = '"' … '"', with \" and \\ within
 *     selector = a MongoDB filter in braces, as JSON or as Python writes it
 *
 * What looks like a field and is none is refused, but for what texts are full of: `12:30`, `http://…`, `C:\…`, `std::…`, `Error: …`.
 * The scanner looks at each character a bounded number of times.
 */

export type Operator = '=' | '>=' | '<=' | '>' | '<'

interface Placed {
  /** Where it begins, in UTF-16 code units. */
  start: number
  end: number
  isExcluded: boolean
}

export type Term =
  | (Placed & { kind: 'text'; text: string })
  | (Placed & { kind: 'selector'; text: string })
  | (Placed & {
      kind: 'field'
      /** In lower case. */
      name: string
      /** As it was written. */
      path: string
      operator: Operator
      values: readonly PlacedValue[]
    })

export interface PlacedValue {
  text: string
  start: number
  end: number
}

/** What of a line is not understood, and where. */
export interface SearchProblem {
  /** From 1 on, in UTF-16 code units, as a text field counts. */
  column: number
  /** In the same units; 0 at the end of the line. */
  length: number
  message: string
}

export class NotUnderstood extends Error {
  readonly start: number
  readonly end: number
  constructor(message: string, { start, end }: { start: number; end: number }) {
    super(message)
    this.start = start
    this.end = end
  }
}

const isBlank = (character: string | undefined) => character !== undefined && /\s/.test(character)
const isNameCharacter = (character: string | undefined) =>
  character !== undefined && /[A-Za-z0-9_.]/.test(character)

/** What a field may be called, in lower case. */
export interface Fields {
  has(name: string): boolean
  /** Goes on from `… is no field`: what was meant, or what there is. */
  suggest(name: string): string
}

/** Throws NotUnderstood. */
export function toTerms(line: string, fields: Fields): Term[] {
  const terms: Term[] = []
  let at = 0
  for (;;) {
    while (isBlank(line[at])) at++
    if (at >= line.length) return terms
    const term = readTerm(line, at, fields)
    terms.push(term)
    at = term.end
  }
}

function readTerm(line: string, start: number, fields: Fields): Term {
  const next = line[start + 1]
  const isExcluded = line[start] === '-' && next !== undefined && next !== '-' && !isBlank(next)
  const at = isExcluded ? start + 1 : start
  if (line[at] === '{') {
    const end = endOfSelector(line, at)
    return { kind: 'selector', text: line.slice(at, end), start, end, isExcluded }
  }
  if (line[at] === '"') {
    const { text, end } = readPhrase(line, at)
    return { kind: 'text', text, start, end, isExcluded }
  }
  const field = readField(line, at, fields)
  if (field) return { kind: 'field', ...field, start, isExcluded }
  let end = at
  while (end < line.length && !isBlank(line[end])) end++
  return { kind: 'text', text: line.slice(at, end), start, end, isExcluded }
}

function readField(line: string, start: number, fields: Fields) {
  let at = start
  while (isNameCharacter(line[at])) at++
  const path = line.slice(start, at)
  const name = path.toLowerCase()
  const operator = operatorAt(line, at)
  if (operator === undefined || !/^[a-z_]/.test(name)) return undefined
  const valueStart = at + operator.length
  if (!fields.has(name)) {
    const first = line[valueStart]
    const isText = operator !== ':' || name.includes('.') || first === undefined || isBlank(first)
    if (isText || '/\\:='.includes(first!)) return undefined
    throw new NotUnderstood(`'${path}' is no field${fields.suggest(name)} As words it stands in quotes.`, {
      start,
      end: at,
    })
  }
  const { values, end } = readValues(line, valueStart)
  const missing = values.find(({ text }) => text === '')
  if (missing) throw new NotUnderstood(`${name} needs a value`, { start: missing.start, end: missing.end })
  return { name, path, operator: operator === ':' ? ('=' as const) : operator, values, end }
}

function operatorAt(line: string, at: number): ':' | Operator | undefined {
  const character = line[at]
  if (character === ':' || character === '=') return character
  if (character !== '<' && character !== '>') return undefined
  return line[at + 1] === '=' ? `${character}=` : character
}

function readValues(line: string, start: number): { values: PlacedValue[]; end: number } {
  const values: PlacedValue[] = []
  for (let at = start; ; at++) {
    if (line[at] === '"') {
      const { text, end } = readPhrase(line, at)
      values.push({ text, start: at, end })
      at = end
    } else {
      const from = at
      while (at < line.length && line[at] !== ',' && !isBlank(line[at])) at++
      values.push({ text: line.slice(from, at), start: from, end: at })
    }
    if (line[at] !== ',') return { values, end: at }
  }
}

/** From its opening quote on. */
function readPhrase(line: string, start: number): { text: string; end: number } {
  let text = ''
  for (let at = start + 1; at < line.length; at++) {
    if (line[at] === '"') return { text, end: at + 1 }
    if (line[at] === '\\' && (line[at + 1] === '"' || line[at + 1] === '\\')) at++
    text += line[at]
  }
  throw new NotUnderstood('the quote is not closed', { start, end: line.length })
}

/** Behind the brace that closes the one at `start`. */
function endOfSelector(line: string, start: number): number {
  let depth = 0
  let quote: string | undefined
  for (let at = start; at < line.length; at++) {
    const character = line[at]!
    if (quote !== undefined) {
      if (character === '\\') at++
      else if (character === quote) quote = undefined
    } else if (character === '"' || character === "'") quote = character
    else if (character === '{') depth++
    else if (character === '}' && --depth === 0) return at + 1
  }
  throw new NotUnderstood('the selector is no JSON: a brace is not closed', { start, end: line.length })
}

/** A term of the line for a field, its value in quotes where it must be. */
export function toToken(name: string, value: string): string {
  return `${name}:${isBare(value) ? value : toPhrase(value)}`
}

const isBare = (value: string) => value !== '' && !/[\s,]/.test(value) && value[0] !== '"'

/** Any text as a phrase. */
export const toPhrase = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
