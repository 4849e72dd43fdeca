import { EventError } from '@madsci-events/sdk/event'

const maxPatternChars = 1000
const classSpace = '\\t\\n\\x0b\\f\\r '

/**
 * A regular expression of MongoDB (PCRE) → JavaScript's, with the same meaning: `.` stops at \n alone, `$` also stands
 * before a last \n, `\s` is ASCII. What only one of the two has (possessive quantifiers, atomic groups, recursion, \Q, \K,
 * POSIX classes, inline options but at the very beginning) throws EVT_SELECTOR rather than mean something else.
 */
export function parseRegex(source: string, options: string): RegExp {
  if (source.length > maxPatternChars) throw refuse(`is longer than ${maxPatternChars} characters`)
  if (source.includes('\0')) throw refuse('holds a NUL')
  for (const option of options) {
    if (!'imsx'.includes(option)) throw refuse(`has the unknown option '${option}'`)
  }
  const leading = /^\(\?([imsx]+)\)/.exec(source)
  const all = options + (leading?.[1] ?? '')
  const translated = translate(source.slice(leading?.[0].length ?? 0), all)
  try {
    return new RegExp(translated, all.includes('i') ? 'iu' : 'u')
  } catch (cause) {
    throw refuse(`is wrong: ${(cause as Error).message}`, cause)
  }
}

function refuse(why: string, cause?: unknown): EventError {
  return new EventError('EVT_SELECTOR', `The regular expression ${why}`, { cause })
}

function translate(source: string, options: string): string {
  const multiline = options.includes('m')
  const dotAll = options.includes('s')
  const extended = options.includes('x')
  let out = ''
  for (let i = 0; i < source.length; ) {
    const char = source[i]!
    if (char === '\\') {
      const escaped = readEscape(source, i, false)
      out += escaped.text
      i = escaped.end
    } else if (char === '[') {
      const set = readClass(source, i)
      out += set.text
      i = set.end
    } else if (char === '(' && source[i + 1] === '?') {
      const group = /^\(\?(?:[:=!]|<[=!]|<[A-Za-z_]\w*>)/.exec(source.slice(i))
      if (!group) throw refuse(`has a group '${source.slice(i, i + 4)}' that is not supported`)
      out += group[0]
      i += group[0].length
    } else if (char === '.') {
      out += dotAll ? '[\\s\\S]' : '[^\\n]'
      i++
    } else if (char === '^') {
      out += multiline ? '(?:^|(?<=\\n)(?!$))' : '^'
      i++
    } else if (char === '$') {
      out += multiline ? '(?:$|(?=\\n))' : '(?=\\n?$)'
      i++
    } else if (extended && /\s/.test(char)) i++
    else if (extended && char === '#') {
      const end = source.indexOf('\n', i)
      i = end < 0 ? source.length : end
    } else if ('*+?'.includes(char) || (char === '{' && /^\{\d+(,\d*)?\}/.test(source.slice(i)))) {
      const quantifier = char === '{' ? /^\{\d+(,\d*)?\}/.exec(source.slice(i))![0] : char
      i += quantifier.length
      if (source[i] === '+') throw refuse('has a possessive quantifier')
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

/** From a backslash on. */
function readEscape(source: string, start: number, inClass: boolean): { text: string; end: number } {
  const char = source[start + 1]
  if (char === undefined) throw refuse('ends with a backslash')
  const end = start + 2
  const whole = (pattern: RegExp) => pattern.exec(source.slice(start))?.[0]
  if (char === 's') return { text: inClass ? classSpace : `[${classSpace}]`, end }
  if (char === 'S' && !inClass) return { text: `[^${classSpace}]`, end }
  if (char === 'A' && !inClass) return { text: '^', end }
  if (char === 'z' && !inClass) return { text: '$', end }
  if (char === 'Z' && !inClass) return { text: '(?=\\n?$)', end }
  if ('dDwWnrtf'.includes(char)) return { text: `\\${char}`, end }
  if ((char === 'b' || char === 'B') && !inClass) return { text: `\\${char}`, end }
  if (char >= '1' && char <= '9' && !inClass) return { text: `\\${char}`, end }
  if (char === 'x') {
    const hex = whole(/^\\x[0-9a-fA-F]{2}/)
    if (hex) return { text: hex, end: start + 4 }
  }
  if (/[A-Za-z0-9]/.test(char)) throw refuse(`has the escape '\\${char}', which is not supported`)
  const literal = '^$\\.*+?()[]{}|/'.includes(char) || (inClass && char === '-')
  return { text: literal ? `\\${char}` : char, end }
}

/** A character class, from its bracket on. */
function readClass(source: string, start: number): { text: string; end: number } {
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
    if (char === undefined) throw refuse('has a class without end')
    if (char === ']') return { text: `${text}]`, end: i + 1 }
    if (char === '[' && /[:.=]/.test(source[i + 1] ?? '')) throw refuse('has a POSIX class')
    if (char === '\\') {
      const escaped = readEscape(source, i, true)
      text += escaped.text
      i = escaped.end
    } else {
      text += '[{}()|/'.includes(char) ? `\\${char}` : char
      i++
    }
  }
}
