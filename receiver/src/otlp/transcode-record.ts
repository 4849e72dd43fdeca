import {
  findDefect,
  fromDocument,
  maxEventBytes,
  microsToTimestamp,
  type Otel,
  type RecordContext,
  sourceKeys,
} from '@madsci-events/sdk/event'
import { type DocumentWriter, maxPlaces } from '../document/document-writer.ts'
import { DocumentRun, EventDocument } from '../document/event-document.ts'
import { isEqual, toBytes, Word } from '../document/word.ts'
import type { RecordFields } from './record-fields.ts'
import type { RecordIds } from './record-id.ts'
import { RecordMeaning, ulidBytes } from './record-meaning.ts'
import { type ContextParts, prepareResource, prepareScope, type ResourceParts } from './transcode-context.ts'
import { ValueTranscoder } from './transcode-value.ts'
import { nanosTextOf } from './unix-time.ts'
import { isMalformed, type Reader, type Slicer } from './wire.ts'

// The documents' own keys.
const key = {
  id: new Word('_id'),
  type: new Word('event_type'),
  level: new Word('log_level'),
  alert: new Word('alert'),
  timestamp: new Word('event_timestamp'),
  source: new Word('source'),
  data: new Word('event_data'),
  message: new Word('message'),
  traceId: new Word('trace_id'),
  spanId: new Word('span_id'),
  archived: new Word('archived'),
  archivedAt: new Word('archived_at'),
  otel: new Word('otel'),
  severityNumber: new Word('severity_number'),
  severityText: new Word('severity_text'),
  eventName: new Word('event_name'),
  attributes: new Word('attributes'),
  body: new Word('body'),
  form: new Word('form'),
  noBody: new Word('no_body'),
  time: new Word('time_unix_nano'),
  observed: new Word('observed_time_unix_nano'),
  flags: new Word('flags'),
  dropped: new Word('dropped_attributes_count'),
  doubles: new Word('doubles'),
  /** Of an attribute whose text is kept beside the type that it means. */
  otherType: new Word('madsci.event.type'),
}
const sourceWords = sourceKeys.map((name) => new Word(name))

// Each document brings its resource again: where that is large, events that share it as objects take less. So documents
// take so many times the memory of the body at most, or that much.
const maxGrowth = 4
const leastDocumentBytes = 64 * 1024

// An object has four bytes at least and counts for 40: so no event of a request can be too large.
export const maxPlainBytes = maxEventBytes / 10

/** For a request of so many bytes; undefined where events are wanted, or may be too large for a store. */
export function createTranscoder(
  ids: RecordIds,
  bodyBytes: number,
  { documents }: { documents?: DocumentWriter | undefined },
): RecordTranscoder | undefined {
  return documents && bodyBytes <= maxPlainBytes ? new RecordTranscoder(documents, ids, bodyBytes) : undefined
}

/**
 * LogRecord → document, from bytes to bytes, for records of any sender. Neither objects nor texts are made on the way, and
 * that is most of what `fromRecord` costs. The document is the one that `fromRecord` leads to, byte by byte.
 *
 * What has no place in a document as it stands becomes an event first, by `fromRecord`: values that are bytes or beyond 2^53,
 * in JSON NaN and infinities, keys that come twice or are numbers, long or odd ids, records without a time.
 */
export class RecordTranscoder {
  private readonly writer: DocumentWriter
  private readonly ids: RecordIds
  private readonly run: DocumentRun
  private readonly maxDocumentBytes: number
  /** Undefined when no record of the scope can be written so. */
  private contextOf: (() => RecordContext) | undefined
  private isSound = false
  /** Prepared with the first record that wants it. */
  private context: ContextParts | undefined
  private resource: ResourceParts | undefined
  private resourceSource: RecordContext['source'] | undefined
  /** Where the next document begins. */
  private nextStart: number
  private count = 0
  private readonly meaning = new RecordMeaning()
  private readonly values: ValueTranscoder
  private readonly scratch = toBytes(new Uint8Array(32))

  constructor(writer: DocumentWriter, ids: RecordIds, bodyBytes: number) {
    this.writer = writer
    this.ids = ids
    this.run = new DocumentRun(writer)
    this.values = new ValueTranscoder(writer)
    this.nextStart = writer.start()
    this.maxDocumentBytes = Math.max(leastDocumentBytes, bodyBytes * maxGrowth)
  }

  /** The records that follow are of this resource and scope. `isSound`: these hold nothing that a store may refuse. */
  open(contextOf: (() => RecordContext) | undefined, isSound: boolean): void {
    this.contextOf = contextOf
    this.isSound = isSound
    this.context = undefined
  }

  /** Gives the events their bytes. */
  close(): void {
    if (this.count > 0) this.run.fill(this.writer.take(), this.count)
  }

  /** Places of whole doubles in the record that was written last; undefined for none. */
  get doubles(): string[] | undefined {
    return this.values.doubles.length > 0 ? this.values.doubles : undefined
  }

  /** Undefined, and then nothing has happened, for a record that becomes an event first. */
  write(r: Reader, fields: RecordFields): EventDocument | undefined {
    if (this.contextOf === undefined || this.nextStart > this.maxDocumentBytes) return undefined
    const { valuesLeft } = r
    const event = this.tryWrite(r, fields, this.contextOf)
    if (event === undefined) r.valuesLeft = valuesLeft
    return event
  }

  private tryWrite(
    r: Reader,
    fields: RecordFields,
    contextOf: () => RecordContext,
  ): EventDocument | undefined {
    try {
      if (!this.meaning.find(r, fields)) return undefined
      const context = this.context ?? this.prepare(contextOf())
      return context && this.writeDocument(r, fields, context)
    } catch (error) {
      if (isMalformed(error)) return undefined
      throw error
    }
  }

  private prepare(context: RecordContext): ContextParts | undefined {
    if (!this.isSound && hasDefect(context)) {
      this.contextOf = undefined
      return undefined
    }
    if (context.source !== this.resourceSource) {
      this.resourceSource = context.source
      this.resource = prepareResource(this.writer, context)
    }
    this.context = this.resource && prepareScope(this.writer, this.resource, context)
    if (this.context === undefined) this.contextOf = undefined
    return this.context
  }

  private writeDocument(r: Reader, fields: RecordFields, context: ContextParts): EventDocument | undefined {
    const { writer, meaning } = this
    const { id, head, alert, time } = meaning
    if ((meaning.seenSources & context.knownSources) !== 0) return undefined
    const { micros } = time.isZero ? meaning.observed : time
    const hasId = id.start !== id.stop
    const event_id = hasId
      ? (r.bytes as unknown as Slicer).latin1Slice(id.start, id.stop)
      : this.ids.idAt(Math.floor(micros / 1000))

    writer.begin()
    let isWritten = false
    try {
      if (hasId) writer.text(key.id, r, id.start, id.stop)
      else this.writeAscii(key.id, event_id)
      this.writeWord(key.type, head.typeAsWord)
      writer.number(key.level, head.level)
      writer.boolean(key.alert, alert)
      this.writeTime(micros)
      this.writeSource(r, context)
      this.values.begin()
      isWritten = this.writeRest(r, fields, context) && r.valuesLeft >= 0
    } finally {
      if (!isWritten) writer.drop()
    }
    if (!isWritten) return undefined
    if (!hasId) this.ids.advance()
    const start = this.nextStart
    this.nextStart = writer.end()
    this.count++
    const { type: event_type, level: log_level } = head
    const fieldsAtHand = { event_id, event_type, log_level, alert, time: micros }
    return new EventDocument(this.run, start, this.nextStart, fieldsAtHand)
  }

  private writeSource(r: Reader, context: ContextParts): void {
    const { writer } = this
    const { sourceCount, sourceName, sourceAt } = this.meaning
    const source = writer.openObject(key.source)
    if (context.source) writer.members(context.source)
    for (let i = 0; i < sourceCount; i++) {
      const at = sourceAt[i]!
      writer.text(sourceWords[sourceName[i]!]!, r, at, at + ulidBytes)
    }
    writer.closeObject(source)
  }

  /** From event_data on, which is that of an event, or the body and the attributes of a record. */
  private writeRest(r: Reader, fields: RecordFields, context: ContextParts): boolean {
    const { meaning } = this
    const { head, bodyKind } = meaning
    const hasData = meaning.data >= 0
    const isRecord =
      !hasData &&
      (!head.isNamed || meaning.typeWord !== head.typeAsWord || meaning.otherCount > 0 || bodyKind !== 'text')
    if (!(hasData ? this.writeAttribute(r, fields, meaning.data, key.data) : this.writeRecord(r, fields)))
      return false
    const isBodyToldApart = hasData && bodyKind !== 'none' && !this.isMessage(r, fields)
    if (hasData && bodyKind !== 'none' && !isBodyToldApart) r.valuesLeft--
    this.writeHex(key.traceId, r.bytes, meaning.traceId, 16)
    this.writeHex(key.spanId, r.bytes, meaning.spanId, 8)
    this.writer.boolean(key.archived, false)
    this.writer.null(key.archivedAt)
    return this.writeOtel(r, fields, context, { hasData, isRecord, isBodyToldApart })
  }

  private writeRecord(r: Reader, fields: RecordFields): boolean {
    const { writer } = this
    const { body, hasBody } = fields
    const data = writer.openObject(key.data)
    if (hasBody && !this.values.write(r, body.start, body.stop, key.message, undefined)) return false
    // Of two messages the body is the one.
    if (!this.writeOthers(r, fields, hasBody ? this.meaning.otherMessage : -1)) return false
    writer.closeObject(data)
    return true
  }

  private writeOthers(r: Reader, fields: RecordFields, except: number): boolean {
    const { keys, others, otherCount, head, typeWord } = this.meaning
    for (let i = 0; i < otherCount; i++) {
      const attribute = others[i]!
      if (attribute !== except && !this.writeAttribute(r, fields, attribute, keys[attribute]!)) return false
    }
    if (head.hasOtherType) this.writeWord(key.otherType, typeWord)
    return true
  }

  private writeAttribute(r: Reader, { attributes }: RecordFields, attribute: number, word: Word): boolean {
    const start = attributes[4 * attribute + 2]!
    const stop = attributes[4 * attribute + 3]!
    // As the reader of values counts an attribute that has no value.
    if (start === stop) r.valuesLeft--
    if (start >= 0) return this.values.write(r, start, stop, word, this.meaning.keys[attribute]!)
    this.writer.null(word)
    return true
  }

  /** Whether the body is the text that the event data implies. */
  private isMessage(r: Reader, { body }: RecordFields): boolean {
    const { bodyKind, bodyText, head } = this.meaning
    if (bodyKind !== 'text') return false
    const { message, messageStop } = this.values
    const from = message >= 0 ? r : head.typeAsWord
    const start = message >= 0 ? message : 0
    const length = message >= 0 ? messageStop - message : head.typeAsWord.bytes.length
    return body.stop - bodyText === length && isEqual(r, bodyText, from, start, length)
  }

  private writeOtel(
    r: Reader,
    fields: RecordFields,
    context: ContextParts,
    { hasData, isRecord, isBodyToldApart }: OtelOptions,
  ): boolean {
    const { writer, meaning } = this
    const { head, nameWord, severityWord, otherMessage, time, observed } = meaning
    const { severityNumber, droppedAttributesCount, body, hasBody } = fields
    const flags = fields.flags < 0 ? 0 : r.bytes[fields.flags]!
    const isOtherNumber = severityNumber !== head.severity.number
    const isOtherText = severityWord.text !== (isRecord ? '' : head.severity.text)
    const isNameTold = hasData ? !head.isNamed : isRecord && nameWord.text !== ''
    const hasAttributes = hasData ? meaning.otherCount > 0 || head.hasOtherType : hasBody && otherMessage >= 0
    const isTimeTold = time.isZero || time.nanos !== 0
    const isObservedTold = time.isZero ? observed.nanos !== 0 : !meaning.isObservedAtTime
    const doubles = this.doublesWith(context)
    const isAnyTold =
      isOtherNumber || isOtherText || isRecord || isNameTold || hasAttributes || isBodyToldApart
    const isMoreTold = isTimeTold || isObservedTold || flags !== 0 || droppedAttributesCount !== 0
    const hasContext = context.otel ?? context.scope ?? context.otherSource
    if (!isAnyTold && !isMoreTold && !hasContext && doubles === undefined) return true

    const otel = writer.openObject(key.otel)
    if (isOtherNumber) writer.number(key.severityNumber, severityNumber)
    if (isRecord) this.writeWord(key.form, recordForm)
    if (isNameTold) this.writeWord(key.eventName, nameWord)
    if (hasAttributes) {
      const attributes = writer.openObject(key.attributes)
      const isAll = hasData
      if (isAll && !this.writeOthers(r, fields, -1)) return false
      if (!isAll && !this.writeAttribute(r, fields, otherMessage, key.message)) return false
      writer.closeObject(attributes)
    }
    if (!hasData && !hasBody && otherMessage >= 0) writer.boolean(key.noBody, true)
    if (isBodyToldApart && !this.values.write(r, body.start, body.stop, key.body, undefined)) return false
    if (isOtherText) this.writeWord(key.severityText, severityWord)
    if (isTimeTold) this.writeAscii(key.time, nanosTextOf(time))
    if (isObservedTold) this.writeAscii(key.observed, nanosTextOf(observed))
    if (flags !== 0) writer.number(key.flags, flags)
    if (droppedAttributesCount !== 0) writer.number(key.dropped, droppedAttributesCount)
    if (context.otel) writer.members(context.otel)
    if (context.scope) writer.members(context.scope)
    if (context.otherSource) writer.members(context.otherSource)
    if (!this.writeDoubles(this.doublesWith(context))) return false
    writer.closeObject(otel)
    return true
  }

  private doublesWith({ doubles }: ContextParts): readonly string[] | undefined {
    const own = this.values.doubles
    return own.length === 0 ? doubles : [...(doubles ?? []), ...own].sort()
  }

  private writeDoubles(places: readonly string[] | undefined): boolean {
    if (places === undefined) return true
    const { writer } = this
    const list = writer.openArray(key.doubles)
    for (const [index, place] of places.entries()) {
      if (index === maxPlaces) return false
      const bytes = toBytes(Buffer.from(place))
      writer.text(writer.placeOf(index), bytes, 0, bytes.bytes.length)
    }
    writer.closeArray(list)
    return true
  }

  private writeWord(word: Word, value: Word): void {
    this.writer.text(word, value, 0, value.bytes.length)
  }

  /** A text of at most 32 letters. */
  private writeAscii(word: Word, text: string): void {
    const { bytes } = this.scratch
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
    this.writer.text(word, this.scratch, 0, text.length)
  }

  private writeTime(micros: number): void {
    const { scratch } = this
    const second = Math.floor(micros / 1e6)
    if (second !== lastSecond) {
      lastSecond = second
      secondBytes = Buffer.from(microsToTimestamp(second * 1e6), 'latin1')
    }
    const { bytes } = scratch
    bytes.set(secondBytes)
    let rest = micros - second * 1e6
    for (let place = 25; place >= 20; place--) {
      const next = (rest / 10) | 0
      bytes[place] = 48 + rest - next * 10
      rest = next
    }
    this.writer.text(key.timestamp, scratch, 0, 27)
  }

  private writeHex(word: Word, bytes: Uint8Array, at: number, count: number): void {
    if (at < 0) {
      this.writer.null(word)
      return
    }
    const { scratch } = this
    for (let i = 0; i < count; i++) scratch.view.setUint16(2 * i, digitPairs[bytes[at + i]!]!, true)
    this.writer.text(word, scratch, 0, 2 * count)
  }
}

/** Whether a store would refuse every event of it. */
function hasDefect({ resource, scope, otherSource, resourceSchemaUrl = '' }: RecordContext): boolean {
  const parts = { resource: resource ?? {}, scope: scope ?? {}, source: otherSource ?? {} }
  const otel = { ...parts, resource_schema_url: resourceSchemaUrl } as Otel
  return findDefect({ ...fromDocument({ _id: '' }), otel }) !== undefined
}

interface OtelOptions {
  hasData: boolean
  /** It leaves as a record, and not as an event of ours. */
  isRecord: boolean
  isBodyToldApart: boolean
}

const recordForm = new Word('record')
// By byte: both digits, as they lie in memory.
const digitPairs = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(Buffer.of(byte).toString('hex'), 'latin1').readUInt16LE(),
)
let lastSecond = -1
let secondBytes = new Uint8Array(0)
