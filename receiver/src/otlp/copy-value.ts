import { isWhole } from '@madsci-events/sdk/event'
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

/**
 * AnyValue → members of a document, from bytes to bytes. False wherever a value is not written as encoders write it, or
 * cannot be copied as it stands: bytes, integers beyond 2^53, keys that come twice, texts that are no UTF-8.
 */
export class ValueCopier {
  private readonly writer: DocumentWriter
  /** The text `message` of the outermost object; −1 when it has none. */
  message = -1
  messageStop = -1
  // Keys of the objects that are open.
  private readonly keys: Word[] = []
  private keyCount = 0

  constructor(writer: DocumentWriter) {
    this.writer = writer
  }

  /** The members of a KeyValueList, `pos` to `stop`. */
  copyObject(r: Reader, stop: number): boolean {
    this.message = -1
    this.keyCount = 0
    return this.copyMembers(r, stop, 0)
  }

  private copyMembers(r: Reader, stop: number, depth: number): boolean {
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
      // As the ordinary way counts a member that has no value.
      if (r.pos === end) r.valuesLeft--
      if (depth === 0 && meaning === role.message && r.pos < end && bytes[r.pos] === tag.text) {
        const at = r.pos
        r.pos++
        if (readFrame(r, end) !== end) return false
        this.message = r.pos
        this.messageStop = end
        r.pos = at
      }
      if (!this.copyValue(r, end, word, depth)) return false
    }
    this.keyCount = firstKey
    return true
  }

  private copyValue(r: Reader, end: number, word: Word, depth: number): boolean {
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
    } else if (kind === tag.integer) {
      const value = readInt64(r, end)
      if (typeof value !== 'number' || r.pos !== end || !writer.number(word, value)) return false
    } else if (kind === tag.double) {
      if (end - r.pos !== 8) return false
      const value = r.view.getFloat64(r.pos, true)
      if (isWhole(value) || !writer.number(word, value)) return false
    } else if (kind === tag.boolean) {
      const value = bytes[r.pos]!
      if (end - r.pos !== 1 || value > 1) return false
      writer.boolean(word, value === 1)
    } else if (kind === tag.object) {
      if (depth === maxDepth || readFrame(r, end) !== end) return false
      const object = writer.openObject(word)
      if (!this.copyMembers(r, end, depth + 1)) return false
      writer.closeObject(object)
    } else if (kind === tag.list) {
      if (depth === maxDepth || readFrame(r, end) !== end) return false
      const array = writer.openArray(word)
      for (let index = 0; r.pos < end; index++) {
        if (index === maxPlaces || bytes[r.pos++] !== tag.key) return false
        if (!this.copyValue(r, readFrame(r, end), writer.placeOf(index), depth + 1)) return false
      }
      writer.closeArray(array)
    } else return false
    r.pos = end
    return true
  }
}
