import { Script } from 'node:vm'
import { EventError } from '@madsci-events/sdk/event'
import { RE2JS } from 're2js'

const maxPatternChars = 1000
const classSpace = '\\t\\n\\x0b\\f\\r '

/** A regular expression of MongoDB, ready to be asked. */
export interface TextPattern {
  /** Whether it matches anywhere in the text. Takes time that grows with the text alone only if `isLinear`. */
  test(text: string): boolean
  /**
   * False for what needs backtracking: lookaround, back references, `^` with the option m, `$` before something else,
   * repetitions above 1000. It may take exponential time, so it runs only where it can be ended: see `limitTime`.
   */
  readonly isLinear: boolean
  /** The text that a match holds, in any case; given where the pattern is nothing but this text. */
  readonly literal?: string
}

/**
 * A regular expression of MongoDB (PCRE) → one with the same meaning here: `.` stops at \n alone, `$` also stands before a
 * last \n, `\s` is ASCII. What cannot be said (possessive quantifiers, atomic groups, recursion, \Q, \K, POSIX classes,
 * inline options but at the very beginning) throws EVT_SELECTOR rather than mean something else.
 *
 *     pattern ─▶ RE2 syntax ─▶ re2js: linear
 *        └ needs backtracking ─▶ JavaScript syntax ─▶ RegExp
 */
export function parseRegex(source: string, options: string): TextPattern {
  if (source.length > maxPatternChars) throw refuseRegex(`is longer than ${maxPatternChars} characters`)
  if (source.includes('\0')) throw refuseRegex('holds a NUL')
  for (const option of options) {
    if (!'imsx'.includes(option)) throw refuseRegex(`has the unknown option '${option}'`)
  }
  const leading = /^\(\?([imsx]+)\)/.exec(source)
  const all = options + (leading?.[1] ?? '')
  const body = source.slice(leading?.[0].length ?? 0)
  let backtracking: RegExp
  try {
    // Also finds every mistake in the syntax.
    backtracking = new RegExp(translate(body, all, 'javascript')!, all.includes('i') ? 'iu' : 'u')
  } catch (cause) {
    if (cause instanceof EventError) throw cause
    throw refuseRegex(`is wrong: ${(cause as Error).message}`, cause)
  }
  const linear = compileLinear(translate(body, all, 're2'), all.includes('i'))
  const literal = literalOf(body, all)
  if (linear)
    return { test: (text) => linear.test(text), isLinear: true, ...(literal !== undefined && { literal }) }
  return { test: (text) => backtracking.test(text), isLinear: false }
}

/** Undefined for what means more than its own characters. */
function literalOf(source: string, options: string): string | undefined {
  if (/[^i]/.test(options)) return undefined
  let literal = ''
  for (let i = 0; i < source.length; i++) {
    const char = source[i]!
    if (char === '\\') {
      const next = source[++i] ?? ''
      if (!/^[^A-Za-z0-9]$/.test(next)) return undefined
      literal += next
    } else if ('^$.*+?()[]{}|'.includes(char)) return undefined
    else literal += char
  }
  return literal
}

/** Undefined for what RE2 does not know. Its own bounds keep the compiled program small. */
function compileLinear(pattern: string | undefined, ignoresCase: boolean): RE2JS | undefined {
  if (pattern === undefined) return undefined
  try {
    return RE2JS.compile(pattern, ignoresCase ? RE2JS.CASE_INSENSITIVE : 0)
  } catch {
    return undefined
  }
}

// After a test that was ended the pattern rests for so many times the limit: it never takes more than a hundredth of the time.
const restFactor = 100

/**
 * For threads that must go on: a test of a pattern that is not linear ends after so long, ms, with EVT_QUERY_TIMEOUT. The
 * limit costs some 100 µs a test.
 */
export function limitTime(pattern: TextPattern, timeoutMs: number): TextPattern {
  if (pattern.isLinear) return pattern
  let restsUntilMs = 0
  return {
    isLinear: true,
    test(text) {
      const isResting = performance.now() < restsUntilMs
      const result = isResting ? undefined : callWithin(() => pattern.test(text), timeoutMs)
      if (result !== undefined) return result
      if (!isResting) restsUntilMs = performance.now() + restFactor * timeoutMs
      throw new EventError('EVT_QUERY_TIMEOUT', 'A regular expression that needs backtracking took too long')
    },
  }
}

const call = new Script('madsciEventsCall()')

/** V8 ends a regular expression that backtracks when the time of the script that called it is up: undefined then. */
function callWithin(run: () => boolean, timeoutMs: number): boolean | undefined {
  const globals = globalThis as { madsciEventsCall?: () => boolean }
  globals.madsciEventsCall = run
  try {
    return call.runInThisContext({ timeout: timeoutMs }) as boolean
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined
    throw error
  } finally {
    delete globals.madsciEventsCall
  }
}

function refuseRegex(why: string, cause?: unknown): EventError {
  return new EventError('EVT_SELECTOR', `The regular expression ${why}`, { cause })
}

type Dialect = 'javascript' | 're2'

/** Undefined where RE2 has no way to say it. */
function translate(source: string, options: string, dialect: Dialect): string | undefined {
  const multiline = options.includes('m')
  const dotAll = options.includes('s')
  const extended = options.includes('x')
  const isLinear = dialect === 're2'
  let out = ''
  for (let i = 0; i < source.length; ) {
    const char = source[i]!
    if (char === '\\') {
      const next = source[i + 1]
      if (isLinear && next !== undefined && next >= '1' && next <= '9') return undefined
      if (isLinear && next === 'Z' && !isEnd(source, i + 2)) return undefined
      const escaped = readEscape(source, i, false, dialect)
      out += escaped.text
      i = escaped.end
    } else if (char === '[') {
      const set = readClass(source, i, dialect)
      out += set.text
      i = set.end
    } else if (char === '(' && source[i + 1] === '?') {
      const group = /^\(\?(?:[:=!]|<[=!]|<[A-Za-z_]\w{0,99}>)/.exec(source.slice(i, i + 110))
      if (!group) throw refuseRegex(`has a group '${source.slice(i, i + 4)}' that is not supported`)
      if (isLinear && /[=!]$/.test(group[0])) return undefined
      out += group[0]
      i += group[0].length
    } else if (char === '.') {
      out += isLinear ? (dotAll ? '(?s:.)' : '[^\\n]') : dotAll ? '[\\s\\S]' : '[^\\n]'
      i++
    } else if (char === '^') {
      // A last \n begins no line; RE2 cannot look ahead to see that it is the last.
      if (isLinear && multiline) return undefined
      out += multiline ? '(?:^|(?<=\\n)(?!$))' : isLinear ? '\\A' : '^'
      i++
    } else if (char === '$') {
      if (isLinear && !multiline && !isEnd(source, i + 1)) return undefined
      if (isLinear) out += multiline ? '(?m:$)' : '(?:\\n?\\z)'
      else out += multiline ? '(?:$|(?=\\n))' : '(?=\\n?$)'
      i++
    } else if (extended && /\s/.test(char)) i++
    else if (extended && char === '#') {
      const end = source.indexOf('\n', i)
      i = end < 0 ? source.length : end
    } else if ('*+?'.includes(char) || (char === '{' && readCount(source, i) !== undefined)) {
      const quantifier = char === '{' ? readCount(source, i)! : char
      i += quantifier.length
      if (source[i] === '+') throw refuseRegex('has a possessive quantifier')
      out += quantifier
      if (source[i] === '?') {
        out += '?'
        i++
      }
    } else {
      out += '{}]'.includes(char) ? `\\${char}` : char
      i++
    }
  }
  return out
}

/** Nothing that takes text can follow: RE2 may then take a last \n itself instead of looking ahead. */
function isEnd(source: string, at: number): boolean {
  let i = at
  while (source[i] === ')') i++
  if (i === source.length) return true
  // Within a group, something may follow behind it.
  return i === at && source[i] === '|' && depthAt(source, i) === 0
}

function depthAt(source: string, end: number): number {
  let depth = 0
  for (let i = 0; i < end; i++) {
    if (source[i] === '\\') i++
    else if (source[i] === '[') i = readClass(source, i, 're2').end - 1
    else if (source[i] === '(') depth++
    else if (source[i] === ')') depth--
  }
  return depth
}

/** `{2}`, `{2,}` or `{2,5}` at this place; undefined for a brace that means itself. */
function readCount(source: string, start: number): string | undefined {
  return /^\{\d{1,9}(?:,\d{0,9})?\}/.exec(source.slice(start, start + 22))?.[0]
}

/** From a backslash on. */
function readEscape(
  source: string,
  start: number,
  inClass: boolean,
  dialect: Dialect,
): { text: string; end: number } {
  const char = source[start + 1]
  if (char === undefined) throw refuseRegex('ends with a backslash')
  const end = start + 2
  const isLinear = dialect === 're2'
  if (char === 's') return { text: inClass ? classSpace : `[${classSpace}]`, end }
  if (char === 'S' && !inClass) return { text: `[^${classSpace}]`, end }
  if (char === 'A' && !inClass) return { text: isLinear ? '\\A' : '^', end }
  if (char === 'z' && !inClass) return { text: isLinear ? '\\z' : '$', end }
  if (char === 'Z' && !inClass) return { text: isLinear ? '(?:\\n?\\z)' : '(?=\\n?$)', end }
  if ('dDwWnrtf'.includes(char)) return { text: `\\${char}`, end }
  if ((char === 'b' || char === 'B') && !inClass) return { text: `\\${char}`, end }
  if (char >= '1' && char <= '9' && !inClass) return { text: `\\${char}`, end }
  if (char === 'x') {
    const hex = source.slice(start, start + 4)
    if (/^\\x[0-9a-fA-F]{2}$/.test(hex)) return { text: hex, end: start + 4 }
  }
  if (/[A-Za-z0-9]/.test(char)) throw refuseRegex(`has the escape '\\${char}', which is not supported`)
  const literal = '^$\\.*+?()[]{}|/'.includes(char) || (inClass && char === '-')
  return { text: literal ? `\\${char}` : char, end }
}

/** A character class, from its bracket on. */
function readClass(source: string, start: number, dialect: Dialect): { text: string; end: number } {
  let text = '['
  let i = start + 1
  if (source[i] === '^') {
    text += '^'
    i++
  }
  // A bracket that closes at once is a member.
  if (source[i] === ']') {
    text += '\\]'
    i++
  }
  for (;;) {
    const char = source[i]
    if (char === undefined) throw refuseRegex('has a class without end')
    if (char === ']') return { text: `${text}]`, end: i + 1 }
    if (char === '[' && /[:.=]/.test(source[i + 1] ?? '')) throw refuseRegex('has a POSIX class')
    if (char === '\\') {
      const escaped = readEscape(source, i, true, dialect)
      text += escaped.text
      i = escaped.end
    } else {
      text += '[{}()|/'.includes(char) ? `\\${char}` : char
      i++
    }
  }
}
