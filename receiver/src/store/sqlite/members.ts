import { parseJson } from '@madsci-events/sdk/event'

const quote = 34
const comma = 44
const colon = 58
const openBracket = 91
const backslash = 92
const closeBracket = 93
const openBrace = 123
const closeBrace = 125

/**
 * The members of one JSON object inside a longer text, found without parsing what they hold: a report needs two fields of an
 * object of thirty. The text is JSON as JSON.stringify writes it, so without blanks between tokens.
 */
export interface Members {
  /** Notes where the members of the object at this place lie; false when there is none, or a key has an escape. */
  find(text: string, at: number): boolean
  /** A text may be a slice that keeps all the rest alive. */
  get(name: string): unknown
}

export function createMembers(): Members {
  let document = ''
  let count = 0
  // Triples: where the key begins, where its value begins and ends.
  const places: number[] = []

  /** Behind the string that begins at a quote. */
  function skipText(from: number): number {
    let to = document.indexOf('"', from + 1)
    while (to > 0) {
      let backslashes = 0
      while (document.charCodeAt(to - 1 - backslashes) === backslash) backslashes++
      if (backslashes % 2 === 0) return to + 1
      to = document.indexOf('"', to + 1)
    }
    return document.length
  }

  function skipValue(from: number): number {
    const first = document.charCodeAt(from)
    if (first === quote) return skipText(from)
    let depth = 0
    for (let at = from; at < document.length; ) {
      const code = document.charCodeAt(at)
      if (code === quote) {
        at = skipText(at)
        continue
      }
      if (code === openBrace || code === openBracket) depth++
      else if (code === closeBrace || code === closeBracket) {
        if (depth === 0) return at
        if (--depth === 0) return at + 1
      } else if (code === comma && depth === 0) return at
      at++
    }
    return document.length
  }

  return {
    find(text, begin) {
      document = text
      count = 0
      if (text.charCodeAt(begin) !== openBrace) return false
      let at = begin + 1
      while (text.charCodeAt(at) === quote) {
        const keyTo = text.indexOf('"', at + 1)
        if (text.charCodeAt(keyTo + 1) !== colon) return false
        const valueTo = skipValue(keyTo + 2)
        places[count] = at + 1
        places[count + 1] = keyTo + 2
        places[count + 2] = valueTo
        count += 3
        at = valueTo + 1
        if (text.charCodeAt(valueTo) !== comma) break
      }
      return true
    },
    get(name) {
      for (let place = 0; place < count; place += 3) {
        const key = places[place]!
        const value = places[place + 1]!
        if (value - key - 2 !== name.length || !document.startsWith(name, key)) continue
        const text = document.slice(value, places[place + 2]!)
        // Most texts stand for themselves.
        return text.charCodeAt(0) === quote && !text.includes('\\') ? text.slice(1, -1) : parseJson(text)
      }
      return undefined
    },
  }
}
