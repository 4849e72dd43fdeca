import { type RecordHead, sourceKeys, toRecordHead } from '@madsci-events/sdk/event'
import { isEqual, Word } from '../document/word.ts'
import type { RecordFields } from './record-fields.ts'
import { tag } from './transcode-value.ts'
import { createUnixTime, readUnixTime } from './unix-time.ts'
import { findId, findWord, type Reader, readFrame, type Span, unreadable } from './wire.ts'
import { role, roleOf } from './word-role.ts'

const maxIdBytes = 64
const maxAttributes = 128
export const ulidBytes = 26
const empty = new Word('')

/** What the words of a record say, for the same words again. */
export interface Head extends RecordHead {
  typeAsWord: Word
  /** What its `madsci.event.type` says is not the type by its name. */
  hasOtherType: boolean
  words: {
    severityNumber: number
    severity: Word
    name: Word
    type: Word
    legacyName: Word
    isNotset: boolean
  }
}
const heads: (Head | undefined)[] = new Array(64).fill(undefined)

export type BodyKind = 'none' | 'text' | 'other'

/**
 * What the fields of a record mean for its event, as `fromRecord` has it, without any object of it. `find` gives false for a
 * record that cannot be told so.
 */
export class RecordMeaning {
  readonly id: Span = { start: 0, stop: 0 }
  severityWord = empty
  nameWord = empty
  typeWord = empty
  private legacyWord = empty
  head!: Head
  alert = false
  private isNotset = false
  /** The attribute with the event data; −1 for none. */
  data = -1
  seenSources = 0
  sourceCount = 0
  readonly sourceAt = new Int32Array(sourceKeys.length)
  readonly sourceName = new Int32Array(sourceKeys.length)
  /** Of all attributes. */
  readonly keys: Word[] = []
  /** Attributes that have no place of their own in an event. */
  readonly others = new Int32Array(maxAttributes)
  otherCount = 0
  /** The one with the key `message`; −1 for none. */
  otherMessage = -1
  bodyKind: BodyKind = 'none'
  /** Where the text of a body begins. */
  bodyText = 0
  /** At least one of them is not zero. */
  readonly time = createUnixTime()
  readonly observed = createUnixTime()
  isObservedAtTime = false
  traceId = -1
  spanId = -1

  find(r: Reader, fields: RecordFields): boolean {
    this.id.start = this.id.stop = 0
    this.typeWord = this.legacyWord = empty
    this.data = this.otherMessage = -1
    this.alert = this.isNotset = false
    this.seenSources = this.sourceCount = this.otherCount = 0
    if (!this.findTimes(r, fields) || !this.findAttributes(r, fields)) return false
    const severityWord = findSpanWord(r, fields.severityText)
    const nameWord = findSpanWord(r, fields.eventName)
    if (severityWord === undefined || nameWord === undefined) return false
    this.severityWord = severityWord
    this.nameWord = nameWord
    this.traceId = findId(r, fields.traceId, 16)
    this.spanId = findId(r, fields.spanId, 8)
    if (this.traceId === unreadable || this.spanId === unreadable) return false
    this.findBody(r, fields)
    this.head = this.headOf(fields.severityNumber)
    return true
  }

  /** Not for times that are too late, and not for none: then that of receipt counts. */
  private findTimes(r: Reader, fields: RecordFields): boolean {
    const { time, observed } = this
    const { time: at, observed: observedAt } = fields
    if (!readUnixTime(r, at, time)) return false
    // Most records are observed where and when they are made.
    this.isObservedAtTime = at >= 0 && observedAt >= 0 && isEqual(r, at, r, observedAt, 8)
    if (this.isObservedAtTime) return !time.isZero
    return readUnixTime(r, observedAt, observed) && (!time.isZero || !observed.isZero)
  }

  private findAttributes(r: Reader, { attributes, attributeCount }: RecordFields): boolean {
    if (attributeCount > maxAttributes) return false
    const { keys } = this
    let seen = 0
    for (let i = 0; i < attributeCount; i++) {
      r.pos = attributes[4 * i]!
      const word = findWord(r, attributes[4 * i + 1]!)
      if (word === undefined) return false
      const bit = 1 << (word.hash & 31)
      if ((seen & bit) !== 0) for (let j = 0; j < i; j++) if (keys[j]!.text === word.text) return false
      seen |= bit
      keys[i] = word
      const meaning = roleOf(word)
      if (meaning === role.other) this.others[this.otherCount++] = i
      else if (meaning === role.message) this.others[this.otherCount++] = this.otherMessage = i
      else if (!this.findMeaning(r, i, meaning, attributes)) return false
    }
    return true
  }

  /** Of an attribute that has a place of its own in an event, with a value as it should have. */
  private findMeaning(r: Reader, i: number, meaning: number, attributes: Int32Array): boolean {
    const { bytes } = r
    const stop = attributes[4 * i + 3]!
    r.pos = attributes[4 * i + 2]!
    if (meaning === role.numeric || r.pos < 0 || r.pos === stop) return false
    if (meaning === role.data) {
      this.data = i
      return true
    }
    const kind = bytes[r.pos++]
    if (meaning === role.eventName) {
      if (kind !== tag.text || readFrame(r, stop) !== stop) return false
      // One that is no word names no type.
      this.legacyWord = findWord(r, stop) ?? empty
      this.others[this.otherCount++] = i
      return true
    }
    r.valuesLeft--
    if (meaning === role.alert) {
      const value = bytes[r.pos++]!
      this.alert = value === 1
      return kind === tag.boolean && value <= 1 && r.pos === stop
    }
    if (meaning === role.level) {
      this.isNotset = true
      return kind === tag.integer && bytes[r.pos++] === 0 && r.pos === stop
    }
    if (kind !== tag.text || readFrame(r, stop) !== stop) return false
    if (meaning === role.id) {
      this.id.start = r.pos
      this.id.stop = stop
      return isIdAt(bytes, r.pos, stop)
    }
    if (meaning === role.type) {
      const word = findWord(r, stop)
      this.typeWord = word ?? empty
      return word !== undefined
    }
    if (meaning < role.source) return false
    const name = meaning - role.source
    this.seenSources |= 1 << name
    this.sourceName[this.sourceCount] = name
    this.sourceAt[this.sourceCount++] = r.pos
    return isUlidAt(bytes, r.pos, stop)
  }

  private findBody(r: Reader, { hasBody, body: { start, stop } }: RecordFields): void {
    this.bodyKind = hasBody ? 'other' : 'none'
    if (start === stop || r.bytes[start] !== tag.text) return
    r.pos = start + 1
    if (readFrame(r, stop) !== stop) return
    this.bodyKind = 'text'
    this.bodyText = r.pos
  }

  private headOf(severityNumber: number): Head {
    const { severityWord: severity, nameWord: name, typeWord: type, legacyWord: legacyName, isNotset } = this
    const slot = (severityNumber ^ severity.hash ^ name.hash ^ type.hash) & 63
    const known = heads[slot]
    if (
      known !== undefined &&
      known.words.severityNumber === severityNumber &&
      known.words.severity === severity &&
      known.words.name === name &&
      known.words.type === type &&
      known.words.legacyName === legacyName &&
      known.words.isNotset === isNotset
    )
      return known
    const words = { severityNumber, severity, name, type, legacyName, isNotset }
    const head = toRecordHead(
      { severityNumber, severityText: severity.text, eventName: name.text },
      { typeText: type.text, legacyName: legacyName.text, notset: isNotset },
    )
    const isType = head.type === type.text
    const typeAsWord = isType ? type : new Word(head.type)
    const made: Head = { ...head, typeAsWord, hasOtherType: !isType && type !== empty, words }
    heads[slot] = made
    return made
  }
}

/** Undefined for a text that is no word. */
function findSpanWord(r: Reader, { start, stop }: Span): Word | undefined {
  if (start === stop) return empty
  r.pos = start
  return findWord(r, stop)
}

function isUlidAt(bytes: Uint8Array, start: number, stop: number): boolean {
  if (stop - start !== ulidBytes || bytes[start]! > 55) return false
  for (let i = start; i < stop; i++) if (isUlidByte[bytes[i]!] === 0) return false
  return true
}

const isUlidByte = new Uint8Array(256)
for (const byte of Buffer.from('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 'latin1')) isUlidByte[byte] = 1

/** Letters of ASCII, which are the same in every encoding. */
function isIdAt(bytes: Uint8Array, start: number, stop: number): boolean {
  if (start === stop || stop - start > maxIdBytes) return false
  for (let i = start; i < stop; i++) if (bytes[i]! > 126) return false
  return true
}
