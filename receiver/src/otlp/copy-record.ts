import {
  allEventTypes,
  type EventType,
  eventLevels,
  fromSeverity,
  microsToTimestamp,
  type RecordContext,
  sourceKeys,
  toSeverity,
} from '@madsci-events/sdk/event'
import type { DocumentWriter } from '../document/document-writer.ts'
import { EncodedEvent, EncodedRun } from '../document/encoded-event.ts'
import { isEqual, toBytes, Word } from '../document/word.ts'
import { type CopyContext, type CopyResource, prepareResource, prepareScope } from './copy-context.ts'
import { tag, ValueCopier } from './copy-value.ts'
import {
  advance,
  findId,
  findWord,
  isMalformed,
  type Reader,
  readFrame,
  readVarint,
  type Slicer,
  unreadable,
} from './wire.ts'
import { role, roleOf } from './word-role.ts'

// The documents' own keys, in their order.
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
  flags: new Word('flags'),
}
const sourceWords = sourceKeys.map((name) => new Word(name))

// Few and always the same, so that a look is cheaper than reading them again.
const typeOfText = new Map<string, EventType>(allEventTypes.map((type) => [type, type]))
const typeOfName = new Map<string, EventType>(allEventTypes.map((type) => [`madsci.${type}`, type]))
const typeOf = (word: Word) => typeOfText.get(word.text)
const nameOf = (word: Word) => typeOfName.get(word.text)

const maxIdBytes = 64
// Each document brings its resource again: where that is large, events that share it as objects take less. So documents
// take so many times the memory of the body at most, or that much.
const maxGrowth = 4
const leastDocumentBytes = 64 * 1024

/**
 * LogRecord → document, from bytes to bytes, for records as the SDK's toRecord writes them, which are nearly all that a
 * receiver gets. Neither objects nor texts are made on the way, and that is most of what `fromRecord` costs. The document
 * is the one that `fromRecord` leads to, byte by byte; whatever a record says beyond, or unsoundly, goes the ordinary way.
 */
export class RecordCopier {
  private readonly writer: DocumentWriter
  private readonly run: EncodedRun
  private readonly maxDocumentBytes: number
  /** Undefined when the records of the scope cannot be copied. */
  private contextOf: (() => RecordContext) | undefined
  /** Prepared with the first record that wants it. */
  private context: CopyContext | undefined
  private resource: CopyResource | undefined
  private resourceSource: RecordContext['source'] | undefined
  /** Where the next document begins. */
  private nextStart: number
  private count = 0
  // Of the record under way: where its parts lie; −1 for those that it has not.
  private id = -1
  private idStop = -1
  private data = -1
  private dataStop = -1
  private body = -1
  private bodyStop = -1
  private time = -1
  private observed = -1
  private traceId = -1
  private spanId = -1
  private severity = 0
  private severityWord: Word | undefined
  private nameWord: Word | undefined
  private typeWord: Word | undefined
  private flags = 0
  private alert = false
  private isNotset = false
  private seenFields = 0
  private seenSources = 0
  private sourceCount = 0
  private readonly sourceAt = new Int32Array(sourceKeys.length)
  private readonly sourceName = new Int32Array(sourceKeys.length)
  private readonly values: ValueCopier
  private readonly scratch = toBytes(new Uint8Array(32))

  constructor(writer: DocumentWriter, bodyBytes: number) {
    this.writer = writer
    this.run = new EncodedRun(writer)
    this.values = new ValueCopier(writer)
    this.nextStart = writer.start()
    this.maxDocumentBytes = Math.max(leastDocumentBytes, bodyBytes * maxGrowth)
  }

  /** The records that follow are of this resource and scope; undefined when these hold what a store may refuse. */
  open(contextOf: (() => RecordContext) | undefined): void {
    this.contextOf = contextOf
    this.context = undefined
  }

  /** Gives the events their bytes. */
  close(): void {
    if (this.count > 0) this.run.fill(this.writer.take(), this.count)
  }

  /** The record from `pos` to `end`. Undefined, and then nothing was read, for one that must go the ordinary way. */
  copy(r: Reader, end: number): EncodedEvent | undefined {
    if (this.contextOf === undefined || this.nextStart > this.maxDocumentBytes) return undefined
    const { pos, valuesLeft } = r
    const event = this.tryCopy(r, end, this.contextOf)
    if (event === undefined) {
      r.pos = pos
      r.valuesLeft = valuesLeft
    }
    return event
  }

  private tryCopy(r: Reader, end: number, contextOf: () => RecordContext): EncodedEvent | undefined {
    try {
      const context = this.find(r, end) ? (this.context ?? this.prepare(contextOf())) : undefined
      return context && this.write(r, context)
    } catch (error) {
      if (isMalformed(error)) return undefined
      throw error
    }
  }

  private prepare(context: RecordContext): CopyContext | undefined {
    if (context.source !== this.resourceSource) {
      this.resourceSource = context.source
      this.resource = prepareResource(this.writer, context)
    }
    this.context = this.resource && prepareScope(this.writer, this.resource, context)
    if (this.context === undefined) this.contextOf = undefined
    return this.context
  }

  private find(r: Reader, end: number): boolean {
    this.id = this.data = this.body = this.time = this.observed = this.traceId = this.spanId = -1
    this.severity = this.flags = 0
    this.severityWord = this.nameWord = this.typeWord = undefined
    this.alert = this.isNotset = false
    this.seenFields = this.seenSources = this.sourceCount = 0
    while (r.pos < end) {
      const field = readVarint(r, end)
      if (field === 0x32) {
        if (!this.findAttribute(r, readFrame(r, end))) return false
        continue
      }
      const bit = 1 << (field >>> 3)
      if (field > 0x62 || (this.seenFields & bit) !== 0) return false
      this.seenFields |= bit
      if (field === 0x09) this.time = advance(r, 8, end)
      else if (field === 0x59) this.observed = advance(r, 8, end)
      else if (field === 0x10) this.severity = readVarint(r, end)
      else if (field === 0x1a || field === 0x62) {
        const stop = readFrame(r, end)
        if (r.pos === stop) continue
        const word = findWord(r, stop)
        if (word === undefined) return false
        if (field === 0x1a) this.severityWord = word
        else this.nameWord = word
      } else if (field === 0x2a) {
        const stop = readFrame(r, end)
        if (r.pos === stop || r.bytes[r.pos++] !== tag.text || readFrame(r, stop) !== stop) return false
        this.body = r.pos
        this.bodyStop = r.pos = stop
        r.valuesLeft--
      } else if (field === 0x4a) this.traceId = findId(r, end, 16)
      else if (field === 0x52) this.spanId = findId(r, end, 8)
      else if (field === 0x45) this.flags = r.bytes[advance(r, 4, end)]!
      else if (field !== 0x38 || readVarint(r, end) !== 0) return false
    }
    if (this.traceId === unreadable || this.spanId === unreadable) return false
    // Each record of the SDK's has these.
    if (this.nameWord === undefined || (this.data < 0 && this.body < 0)) return false
    return this.id >= 0 && this.typeWord !== undefined && r.valuesLeft >= 0
  }

  private findAttribute(r: Reader, stop: number): boolean {
    const { bytes } = r
    if (r.pos === stop || bytes[r.pos++] !== tag.key) return false
    const word = findWord(r, readFrame(r, stop))
    if (word === undefined || r.pos === stop || bytes[r.pos++] !== tag.value || readFrame(r, stop) !== stop)
      return false
    r.valuesLeft--
    if (r.pos === stop) return false
    const meaning = roleOf(word)
    const kind = bytes[r.pos++]
    if (meaning >= role.source) {
      const name = meaning - role.source
      const bit = 1 << name
      if (kind !== tag.text || readFrame(r, stop) !== stop || (this.seenSources & bit) !== 0) return false
      if (!isUlidAt(bytes, r.pos, stop)) return false
      this.seenSources |= bit
      this.sourceName[this.sourceCount] = name
      this.sourceAt[this.sourceCount++] = r.pos
      r.pos = stop
      return true
    }
    // Attributes have no numbers of their own: these are beyond the record's fields.
    const bit = 1 << (16 + meaning)
    if ((this.seenFields & bit) !== 0) return false
    this.seenFields |= bit
    if (meaning === role.id) {
      if (kind !== tag.text || readFrame(r, stop) !== stop || !isIdAt(bytes, r.pos, stop)) return false
      this.id = r.pos
      this.idStop = r.pos = stop
    } else if (meaning === role.type) {
      if (kind !== tag.text || readFrame(r, stop) !== stop) return false
      this.typeWord = findWord(r, stop)
      return this.typeWord !== undefined
    } else if (meaning === role.data) {
      if (kind !== tag.object || readFrame(r, stop) !== stop) return false
      this.data = r.pos
      this.dataStop = r.pos = stop
    } else if (meaning === role.alert) {
      const value = bytes[r.pos++]!
      if (kind !== tag.boolean || value > 1 || r.pos !== stop) return false
      this.alert = value === 1
    } else if (meaning === role.level) {
      if (kind !== tag.integer || bytes[r.pos++] !== 0 || r.pos !== stop) return false
      this.isNotset = true
    } else return false
    return true
  }

  private write(r: Reader, context: CopyContext): EncodedEvent | undefined {
    const { writer } = this
    const { bytes } = r
    if ((this.seenSources & context.knownSources) !== 0) return undefined
    const typeWord = this.typeWord!
    const type = typeOf(typeWord)
    if (type === undefined || nameOf(this.nameWord!) !== type) return undefined
    const level = this.isNotset && this.severity === 0 ? 0 : fromSeverity(this.severity)
    const severity = severities[level / 10]!
    if (severity.number !== this.severity || severity.text !== (this.severityWord?.text ?? ''))
      return undefined
    const micros = this.microsOf(r)
    if (micros < 0) return undefined

    writer.begin()
    writer.text(key.id, r, this.id, this.idStop)
    writer.text(key.type, typeWord, 0, typeWord.bytes.length)
    writer.number(key.level, level)
    writer.boolean(key.alert, this.alert)
    this.writeTime(micros)
    const source = writer.openObject(key.source)
    if (context.source) writer.members(context.source)
    for (let i = 0; i < this.sourceCount; i++) {
      const at = this.sourceAt[i]!
      writer.text(sourceWords[this.sourceName[i]!]!, r, at, at + ulidBytes)
    }
    writer.closeObject(source)
    let isWritten = false
    try {
      isWritten = this.writeData(r, typeWord)
    } finally {
      if (!isWritten) writer.drop()
    }
    if (!isWritten) return undefined
    this.writeHex(key.traceId, bytes, this.traceId, 16)
    this.writeHex(key.spanId, bytes, this.spanId, 8)
    writer.boolean(key.archived, false)
    writer.null(key.archivedAt)
    if (this.flags !== 0 || context.otel || context.scope || context.otherSource) {
      const otel = writer.openObject(key.otel)
      if (this.flags !== 0) writer.number(key.flags, this.flags)
      if (context.otel) writer.members(context.otel)
      if (context.scope) writer.members(context.scope)
      if (context.otherSource) writer.members(context.otherSource)
      writer.closeObject(otel)
    }
    const start = this.nextStart
    this.nextStart = writer.end()
    this.count++
    const event_id = (bytes as unknown as Slicer).latin1Slice(this.id, this.idStop)
    return new EncodedEvent(this.run, start, this.nextStart, {
      event_id,
      event_type: type,
      log_level: level,
      alert: this.alert,
      time: micros,
    })
  }

  /** event_data, which must say what the body says. */
  private writeData(r: Reader, typeWord: Word): boolean {
    const { writer } = this
    const object = writer.openObject(key.data)
    if (this.data < 0) {
      if (this.body >= 0 && !writer.text(key.message, r, this.body, this.bodyStop)) return false
    } else {
      const { values } = this
      r.pos = this.data
      if (!values.copyObject(r, this.dataStop) || r.valuesLeft < 0) return false
      if (this.body >= 0) {
        const { message, messageStop } = values
        const isMessage = message >= 0
        const length = isMessage ? messageStop - message : typeWord.bytes.length
        if (this.bodyStop - this.body !== length) return false
        if (!isEqual(r, this.body, isMessage ? r : typeWord, isMessage ? message : 0, length)) return false
      }
    }
    writer.closeObject(object)
    return true
  }

  /** Microseconds since 1970, of a time that has no more than these; −1 for any other. */
  private microsOf(r: Reader): number {
    const { view } = r
    const at = this.time
    if (at < 0 || this.observed < 0 || !isEqual(r, at, r, this.observed, 8)) return -1
    const high = view.getUint32(at + 4, true)
    const highThousands = Math.floor(high / 1000)
    const rest = (high - highThousands * 1000) * 2 ** 32 + view.getUint32(at, true)
    const micros = highThousands * 2 ** 32 + Math.floor(rest / 1000)
    return micros > 0 && micros <= maxMicros && rest % 1000 === 0 ? micros : -1
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

// By byte: both digits, as they lie in memory.
const digitPairs = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(Buffer.of(byte).toString('hex'), 'latin1').readUInt16LE(),
)
const ulidBytes = 26
// Beyond, a number is too short for microseconds.
const maxMicros = 2 ** 53 - 1
const severities = eventLevels.map(toSeverity)
let lastSecond = -1
let secondBytes = new Uint8Array(0)

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
