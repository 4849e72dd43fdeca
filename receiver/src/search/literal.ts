import { EventError, setKey, type Value } from '@madsci-events/sdk/event'

const maxDepth = 64

/**
 * A value as Python's `repr` writes it, or as JSON: {'_id': 'x', 'a': None, 'b': True}. MADSci's client sends selectors so.
 * Throws EVT_SELECTOR. Source: the Python language reference, lexical analysis of literals.
 */
export function parseLiteral(text: string): Value {
  let position = 0

  const fail = (): never => {
    throw new EventError('EVT_SELECTOR', `The selector cannot be read, at character ${position}`)
  }
  const skipBlanks = () => {
    while (/\s/.test(text[position] ?? '')) position++
  }
  const take = (mark: string): boolean => {
    skipBlanks()
    if (!text.startsWith(mark, position)) return false
    position += mark.length
    return true
  }

  function readValue(depth: number): Value {
    if (depth > maxDepth) fail()
    if (take('{')) return readDict(depth)
    if (take('[')) return readList(depth, ']')
    if (take('(')) return readList(depth, ')')
    const next = text[position]
    if (next === '<') return readMember(depth)
    return next === "'" || next === '"' ? readText(next) : readWord()
  }

  /** A member of an enumeration, as Python shows it: `<EventType.TEST: 'test'>`. */
  function readMember(depth: number): Value {
    const name = /^<[A-Za-z_]\w{0,100}\.\w{1,100}: /.exec(text.slice(position, position + 250))?.[0]
    if (name === undefined) return fail()
    position += name.length
    const value = readValue(depth + 1)
    if (text[position] !== '>') fail()
    position++
    return value
  }

  function readDict(depth: number): Value {
    const dict: { [key: string]: Value } = {}
    while (!take('}')) {
      skipBlanks()
      const quote = text[position]
      if (quote !== "'" && quote !== '"') fail()
      const key = readText(quote!)
      if (!take(':')) fail()
      setKey(dict, key, readValue(depth + 1))
      if (take('}')) break
      if (!take(',')) fail()
    }
    return dict
  }

  function readList(depth: number, end: string): Value {
    const list: Value[] = []
    while (!take(end)) {
      list.push(readValue(depth + 1))
      if (take(end)) break
      if (!take(',')) fail()
    }
    return list
  }

  function readText(quote: string): string {
    let result = ''
    for (position++; text[position] !== quote; position++) {
      if (position >= text.length) fail()
      result += text[position] === '\\' ? readEscape() : text[position]
    }
    position++
    return result
  }

  function readEscape(): string {
    const letter = text[++position] ?? ''
    const simple: { [letter: string]: string } = {
      n: '\n',
      t: '\t',
      r: '\r',
      b: '\b',
      f: '\f',
      '\\': '\\',
      '/': '/',
      "'": "'",
      '"': '"',
    }
    if (simple[letter] !== undefined) return simple[letter]
    const digits = { x: 2, u: 4, U: 8 }[letter]
    const code = digits && text.slice(position + 1, position + 1 + digits)
    if (!code || !/^[0-9a-fA-F]+$/.test(code) || code.length !== digits) return fail()
    const point = Number.parseInt(code, 16)
    if (point > 0x10ffff) fail()
    position += digits
    return String.fromCodePoint(point)
  }

  function readWord(): Value {
    const word = /^[-+.\w]+/.exec(text.slice(position, position + 400))?.[0] ?? ''
    position += word.length
    if (word === 'None' || word === 'null') return null
    if (word === 'True' || word === 'true') return true
    if (word === 'False' || word === 'false') return false
    if (/^-?\d+$/.test(word)) {
      const number = Number(word)
      return Number.isSafeInteger(number) ? number : BigInt(word)
    }
    if (/^-?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(word)) return Number(word)
    return fail()
  }

  const value = readValue(0)
  skipBlanks()
  if (position < text.length) fail()
  return value
}
