import { parseJson } from '@madsci-events/sdk/event'
import { createByteTable } from '../byte-table.ts'

const quote = 34
const comma = 44
const colon = 58
const openBracket = 91
const backslash = 92
const closeBracket = 93
const openBrace = 123
const closeBrace = 125

// `utf8Slice` is what Buffer.toString('utf8') comes to after looking at its arguments.
type Slicer = { utf8Slice(from: number, to: number): string }
// States, names and the like: few, and each comes a thousand times.
const wordLength = 16

/**
 * The members of one JSON object inside longer text in UTF-8, found without parsing what they hold: a report needs two
 * fields of an object of thirty. The text is JSON as JSON.stringify writes it, so without blanks between tokens.
 */
export interface Members {
  /** Goes to the object at this place; false when there is none. */
  open(text: Buffer, view: DataView, at: number): boolean
  /** By a name in ASCII that JSON writes as it is. */
  get(name: string): unknown
}

export function createMembers(): Members {
  let document: Buffer = Buffer.alloc(0)
  let bytes: DataView
  const words = createByteTable({ lastByte: quote, tellAt: [0, 1, 2, 3], make: (part) => part.slice(0, -1) })
  let count = 0
  // Where the next member begins; 0 when all were seen.
  let next = 0
  // Triples: where the key begins, where its value begins and ends.
  const places: number[] = []

  /** The next member that was not seen yet; its place among the triples, -1 when there is none. */
  function step(): number {
    const at = next
    next = 0
    if (at === 0 || document[at] !== quote) return -1
    const value = skipText(document, at) + 1
    if (document[value - 1] !== colon) return -1
    const valueTo = skipValue(document, value)
    places[count] = at + 1
    places[count + 1] = value
    places[count + 2] = valueTo
    if (document[valueTo] === comma) next = valueTo + 1
    count += 3
    return count - 3
  }

  function isNamed(place: number, name: string): boolean {
    const key = places[place]!
    if (places[place + 1]! - key - 2 !== name.length) return false
    for (let i = 0; i < name.length; i++) if (document[key + i] !== name.charCodeAt(i)) return false
    return true
  }

  function read(place: number): unknown {
    const from = places[place + 1]!
    const to = places[place + 2]!
    // Most texts stand for themselves.
    if (document[from] !== quote || !isPlainText(from + 1, to - 1))
      return parseJson((document as unknown as Slicer).utf8Slice(from, to))
    if (to - from <= wordLength) return words.get(bytes, from + 1)
    return (document as unknown as Slicer).utf8Slice(from + 1, to - 1)
  }

  function isPlainText(from: number, to: number): boolean {
    for (let at = from; at < to; at++) if (document[at] === backslash) return false
    return true
  }

  return {
    open(text, view, at) {
      document = text
      bytes = view
      count = 0
      next = at + 1
      return text[at] === openBrace
    },
    get(name) {
      for (let place = 0; place < count; place += 3) if (isNamed(place, name)) return read(place)
      for (let place = step(); place >= 0; place = step()) if (isNamed(place, name)) return read(place)
      return undefined
    },
  }
}

/** Behind the string that begins at a quote. */
function skipText(text: Buffer, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text[at]
    if (code === quote) return at + 1
    if (code === backslash) at++
  }
  return text.length
}

function skipValue(text: Buffer, from: number): number {
  if (text[from] === quote) return skipText(text, from)
  let depth = 0
  for (let at = from; at < text.length; ) {
    const code = text[at]
    if (code === quote) {
      at = skipText(text, at)
      continue
    }
    if (code === openBrace || code === openBracket) depth++
    else if (code === closeBrace || code === closeBracket) {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (code === comma && depth === 0) return at
    at++
  }
  return text.length
}
