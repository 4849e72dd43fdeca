import { isWhole, maxDoublePlaceCharacters, maxDoublePlaces, toPointerToken } from '@madsci-events/sdk/event'
import { type DocumentWriter, maxPlaces } from '../document/document-writer.ts'
import type { Word } from '../document/word.ts'
import { findWord, type Reader, readFrame, readInt64 } from './wire.ts'
import { role, roleOf } from './word-role.ts'

/** Tags of KeyValue, KeyValueList, ArrayValue (`key`, `value`) and AnyValue, of which each is one byte. */
export const tag = {
  key: 0x0a,
  value: 0x12,
  text: 0x0a,
  boolean: 0x10,
  integer: 0x18,
  double: 0x21,
  list: 0x2a,
  object: 0x32,
}
const maxDepth = 32
const maxMembers = 64
// The kinds of whole numbers that were met.
const integer = 1
const double = 2

/**
 * AnyValue → members of a document, from bytes to bytes. False wherever a value is not written as encoders write it, or
 * cannot be written as it stands: bytes, integers beyond 2^53, keys that come twice, texts that are no UTF-8.
 */
export class ValueTranscoder {
  private readonly writer: DocumentWriter
  /** The value that was written last, if it is a text, or the text `message` in it; −1 for none. */
  message = -1
  messageStop = -1
  /** Places of whole doubles of the record, as `takeDoubles` gives them; not sorted. */
  doubles: string[] = []
  private doubleCharacters = 0
  private kinds = 0
  // Keys of the objects that are open.
  private readonly keys: Word[] = []
  private keyCount = 0
  /** The place of the value that is written: names, from the record's on. */
  private readonly names: (Word | number)[] = []
  private top = ''

  constructor(writer: DocumentWriter) {
    this.writer = writer
  }

  /** What follows is of another record. */
  begin(): void {
    if (this.doubles.length > 0) this.doubles = []
    this.doubleCharacters = 0
  }

  /** The value from `start` to `stop`, an attribute of the record by the name, or its body (undefined), as a member `word`. */
  write(r: Reader, start: number, stop: number, word: Word, attribute: Word | undefined): boolean {
    this.message = -1
    this.keyCount = this.kinds = 0
    this.top = attribute === undefined ? '/body' : ''
    if (attribute !== undefined) this.names[0] = attribute
    r.pos = start
    return this.writeValue(r, stop, word, 0)
  }

  private writeMembers(r: Reader, stop: number, depth: number): boolean {
    const { bytes } = r
    const { keys } = this
    const firstKey = this.keyCount
    let seen = 0
    while (r.pos < stop) {
      if (bytes[r.pos++] !== tag.key) return false
      const end = readFrame(r, stop)
      if (r.pos === end || bytes[r.pos++] !== tag.key) return false
      const word = findWord(r, readFrame(r, end))
      if (word === undefined) return false
      const meaning = roleOf(word)
      if (meaning === role.numeric) return false
      const bit = 1 << (word.hash & 31)
      if ((seen & bit) !== 0) {
        for (let i = firstKey; i < this.keyCount; i++) if (keys[i]!.text === word.text) return false
      }
      seen |= bit
      if (this.keyCount - firstKey === maxMembers) return false
      keys[this.keyCount++] = word
      if (r.pos === end) {
        r.valuesLeft--
        this.writer.null(word)
        continue
      }
      if (bytes[r.pos++] !== tag.value || readFrame(r, end) !== end) return false
      // As the reader of values counts a member that has no value.
      if (r.pos === end) r.valuesLeft--
      this.names[depth] = word
      if (depth === 1 && meaning === role.message && r.pos < end && bytes[r.pos] === tag.text) {
        const at = r.pos
        r.pos++
        if (readFrame(r, end) !== end) return false
        this.message = r.pos
        this.messageStop = end
        r.pos = at
      }
      if (!this.writeValue(r, end, word, depth)) return false
    }
    this.keyCount = firstKey
    return true
  }

  private writeValue(r: Reader, end: number, word: Word, depth: number): boolean {
    const { writer } = this
    const { bytes } = r
    r.valuesLeft--
    if (r.pos === end) {
      writer.null(word)
      return true
    }
    const kind = bytes[r.pos++]
    if (kind === tag.text) {
      if (readFrame(r, end) !== end || !writer.text(word, r, r.pos, end)) return false
      if (depth === 0) {
        this.message = r.pos
        this.messageStop = end
      }
    } else if (kind === tag.integer) {
      const value = readInt64(r, end)
      if (typeof value !== 'number' || r.pos !== end || !writer.number(word, value)) return false
      this.kinds |= integer
    } else if (kind === tag.double) {
      if (end - r.pos !== 8) return false
      const value = r.view.getFloat64(r.pos, true)
      if (!writer.number(word, value)) return false
      if (isWhole(value) && !this.noteDouble(depth)) return false
    } else if (kind === tag.boolean) {
      const value = bytes[r.pos]!
      if (end - r.pos !== 1 || value > 1) return false
      writer.boolean(word, value === 1)
    } else if (kind === tag.object || kind === tag.list) {
      if (depth === maxDepth || readFrame(r, end) !== end) return false
      const outerKinds = this.kinds
      const firstDouble = this.doubles.length
      this.kinds = 0
      if (kind === tag.object) {
        const object = writer.openObject(word)
        if (!this.writeMembers(r, end, depth + 1)) return false
        writer.closeObject(object)
      } else {
        const array = writer.openArray(word)
        for (let index = 0; r.pos < end; index++) {
          if (index === maxPlaces || bytes[r.pos++] !== tag.key) return false
          const stop = readFrame(r, end)
          this.names[depth + 1] = index
          if (!this.writeValue(r, stop, writer.placeOf(index), depth + 1)) return false
        }
        writer.closeArray(array)
      }
      if (this.kinds === double) {
        this.doubles.length = firstDouble
        if (!this.addDouble(depth)) return false
      }
      this.kinds |= outerKinds
    } else return false
    r.pos = end
    return true
  }

  private noteDouble(depth: number): boolean {
    this.kinds |= double
    return this.addDouble(depth)
  }

  /** False when there are too many for all of them to be kept. */
  private addDouble(depth: number): boolean {
    let place = this.top
    for (let i = place === '' ? 0 : 1; i <= depth; i++) {
      const name = this.names[i]!
      place += `/${typeof name === 'number' ? name : toPointerToken(name.text)}`
    }
    if (this.top === '') place = `/attributes${place}`
    this.doubleCharacters += place.length
    this.doubles.push(place)
    return this.doubles.length <= maxDoublePlaces && this.doubleCharacters <= maxDoublePlaceCharacters
  }
}
