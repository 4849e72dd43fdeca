import { isUtf8 } from 'node:buffer'
import { fromDocument, fromExactJson, isPlain, parseJson, toJson, type Value } from '@madsci-events/sdk/event'
import { DocumentBytes } from '../../document/document-bytes.ts'
import type { DocumentWriter } from '../../document/document-writer.ts'
import { type Bytes, type Key, toKey, Word } from '../../document/word.ts'

const [quote, comma, zero, openBracket, backslash, closeBracket, openBrace, closeBrace] = [
  34, 44, 48, 91, 92, 93, 123, 125,
] as const
const utf8Of = ({ buffer, byteOffset, length }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, length).toString()
const asciiOf = (text: string) => new TextEncoder().encode(text)
const trueText = toKey(asciiOf('true'))
const falseText = toKey(asciiOf('false'))
const nullText = toKey(asciiOf('null'))
// Members of an array have none.
const noKey = new Word('')

// JSON.stringify's escapes, by byte; undefined for bytes that stand for themselves.
const escapes: (Uint8Array | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  byte < 32 || byte === quote || byte === backslash
    ? asciiOf(JSON.stringify(String.fromCharCode(byte)).slice(1, -1))
    : undefined,
)
const maxEscapeBytes = 6
// By byte: 0 stands for itself, 1 is no ASCII, 2 is escaped.
const kinds = Uint8Array.from(escapes, (escaped, byte) => (escaped ? 2 : byte > 127 ? 1 : 0))

/** Documents as the JSON that REST shows, the same text as toEventJson makes of the event. */
export class JsonWriter extends DocumentBytes implements DocumentWriter {
  readonly form = 'json'

  constructor() {
    super(0)
  }

  begin(): void {
    this.startOfDocument = this.to.position
    this.to.reserve(1)
    this.to.byte(openBrace)
  }

  end(): number {
    this.byte(closeBrace)
    return this.to.position
  }

  text(key: Word, from: Bytes, start: number, stop: number): boolean {
    const { bytes } = from
    const { to } = this
    this.head(key, (stop - start) * maxEscapeBytes + 2)
    to.byte(quote)
    const { buffer } = to
    let position = to.position
    let seen = 0
    for (let i = start; i < stop; i++) {
      const byte = bytes[i]!
      const kind = kinds[byte]!
      seen |= kind
      if (kind < 2) buffer[position++] = byte
      else {
        const escaped = escapes[byte]!
        buffer.set(escaped, position)
        position += escaped.length
      }
    }
    to.position = position
    to.byte(quote)
    return (seen & 1) === 0 || isUtf8(bytes.subarray(start, stop))
  }

  /** What JSON alone does not give back is kept beside it, in exact JSON: that is not written here. */
  number(key: Word, value: number): boolean {
    if (!isPlain(value)) return false
    const { to } = this
    this.head(key, 32)
    if (value >= 0 && value < 10 && Number.isInteger(value)) to.byte(zero + value)
    else {
      const text = String(value)
      const { buffer } = to
      let position = to.position
      for (let i = 0; i < text.length; i++) buffer[position++] = text.charCodeAt(i)
      to.position = position
    }
    return true
  }

  boolean(key: Word, value: boolean): void {
    this.word(key, value ? trueText : falseText)
  }

  null(key: Word): void {
    this.word(key, nullText)
  }

  openObject(key: Word): number {
    this.head(key, 1)
    this.to.byte(openBrace)
    return 0
  }

  openArray(key: Word): number {
    this.head(key, 1)
    this.to.byte(openBracket)
    return 0
  }

  closeObject(): void {
    this.byte(closeBrace)
  }

  closeArray(): void {
    this.byte(closeBracket)
  }

  placeOf(): Word {
    return noKey
  }

  prepare(object: { [key: string]: Value }): Uint8Array | undefined {
    return isPlain(object) ? asciiOf(toJson(object).slice(1, -1)) : undefined
  }

  members(prepared: Uint8Array): void {
    this.to.reserve(prepared.length + 1)
    this.separate()
    this.to.bytes(prepared)
  }

  read(document: Uint8Array, exact?: Uint8Array) {
    const value = exact ? fromExactJson(utf8Of(exact)) : parseJson(utf8Of(document))
    return fromDocument(value as { [key: string]: Value })
  }

  /** Comma and key. Makes room for `more` bytes behind them. */
  private head(key: Word, more: number): void {
    if (key.keyForm !== 'json') {
      key.key = toKey(asciiOf(key === noKey ? '' : `${JSON.stringify(key.text)}:`))
      key.keyForm = 'json'
    }
    this.to.reserve(key.key!.length + more + 8)
    this.separate()
    this.to.key(key.key!)
  }

  private separate(): void {
    const { to } = this
    const before = to.buffer[to.position - 1]
    if (before !== openBrace && before !== openBracket) to.byte(comma)
  }

  private word(key: Word, word: Key): void {
    this.head(key, word.length)
    this.to.key(word)
  }

  private byte(byte: number): void {
    this.to.reserve(1)
    this.to.byte(byte)
  }
}
