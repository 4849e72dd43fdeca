import type { LogRecord, Value } from '@madsci-events/sdk/event'
import { countValue, knownOfKeyValue, readAnyValue } from './any-value.ts'
import { countDuplicates, takeDoublesOfRecord, tooManyValues } from './decoded.ts'
import {
  advance,
  type Reader,
  readFixed64,
  readFrame,
  readHexId,
  readVarint,
  type Span,
  skipField,
  takeWord,
} from './wire.ts'

// Bit n: field n is one that we read.
const knownOfRecord = 0b1_1111_1110_1110
const startAttributes = 32
const maxKeptAttributes = 4096
const placesPerAttribute = 4

const createSpan = (): Span => ({ start: 0, stop: 0 })

/**
 * Where the parts of a LogRecord lie in its bytes: the one place where these are told apart. Of a field that comes twice
 * the last one counts.
 */
export class RecordFields {
  /** Where they lie; −1 for none. */
  time = -1
  observed = -1
  flags = -1
  severityNumber = 0
  droppedAttributesCount = 0
  readonly severityText = createSpan()
  readonly eventName = createSpan()
  readonly traceId = createSpan()
  readonly spanId = createSpan()
  readonly body = createSpan()
  hasBody = false
  attributeCount = 0
  /** Of each attribute its key from, to, its value from, to; a value from −1 is none. */
  attributes = new Int32Array(startAttributes * placesPerAttribute)

  /** The record from `pos` to `end`. Throws for what is none. */
  read(r: Reader, end: number): void {
    this.clear()
    while (r.pos < end) {
      const tag = readVarint(r, end)
      if (tag === 0x32) this.readAttribute(r, readFrame(r, end))
      else if (tag === 0x09) this.time = advance(r, 8, end)
      else if (tag === 0x59) this.observed = advance(r, 8, end)
      else if (tag === 0x10) this.severityNumber = readVarint(r, end) | 0
      else if (tag === 0x1a) readSpan(r, end, this.severityText)
      else if (tag === 0x2a) {
        readSpan(r, end, this.body)
        this.hasBody = true
      } else if (tag === 0x62) readSpan(r, end, this.eventName)
      else if (tag === 0x4a) readSpan(r, end, this.traceId)
      else if (tag === 0x52) readSpan(r, end, this.spanId)
      else if (tag === 0x45) this.flags = advance(r, 4, end)
      else if (tag === 0x38) this.droppedAttributesCount = readVarint(r, end)
      else skipField(r, tag, end, knownOfRecord)
    }
  }

  /** Their values. */
  toLogRecord(r: Reader): LogRecord {
    const { attributes } = this
    // A record before it may have failed on the way.
    r.hasWholeDoubles = false
    const keys: string[] = []
    const values: Value[] = []
    for (let i = 0, at = 0; i < this.attributeCount; i++, at += placesPerAttribute) {
      r.pos = attributes[at]!
      const key = takeWord(r, attributes[at + 1]!)
      const valueAt = attributes[at + 2]!
      let value: Value = null
      if (valueAt >= 0) {
        r.pos = valueAt
        value = readAnyValue(r, attributes[at + 3]!, 1)
      }
      // An attribute takes memory also when it has no value.
      if (value === null) countValue(r)
      // JSON in a text may say what OTLP's values cannot.
      if (key === 'madsci.event.json') r.isPlain = false
      keys.push(key)
      values.push(value)
    }
    r.duplicateKeyCount += countDuplicates(keys)
    const record: LogRecord = {
      timeUnixNano: readNanos(r, this.time),
      observedTimeUnixNano: readNanos(r, this.observed),
      severityNumber: this.severityNumber,
      severityText: textOfSpan(r, this.severityText),
      eventName: textOfSpan(r, this.eventName),
      body: this.hasBody ? this.bodyOf(r) : undefined,
      keys,
      values,
      droppedAttributesCount: this.droppedAttributesCount,
      flags: this.flags < 0 ? 0 : r.bytes[this.flags]!,
      traceId: readHexId(r, this.traceId, 16),
      spanId: readHexId(r, this.spanId, 8),
    }
    if (r.hasWholeDoubles) takeDoublesOfRecord(record)
    r.hasWholeDoubles = false
    return record
  }

  private clear(): void {
    this.time = this.observed = this.flags = -1
    this.severityNumber = this.droppedAttributesCount = this.attributeCount = 0
    clearSpan(this.severityText)
    clearSpan(this.eventName)
    clearSpan(this.traceId)
    clearSpan(this.spanId)
    clearSpan(this.body)
    this.hasBody = false
    if (this.attributes.length > maxKeptAttributes * placesPerAttribute)
      this.attributes = new Int32Array(startAttributes * placesPerAttribute)
  }

  private readAttribute(r: Reader, end: number): void {
    // Each counts for a value at least, also when it is empty.
    if (this.attributeCount > r.valuesLeft) throw tooManyValues()
    const at = placesPerAttribute * this.attributeCount++
    if (at === this.attributes.length) {
      const grown = new Int32Array(at * 2)
      grown.set(this.attributes)
      this.attributes = grown
    }
    const { attributes } = this
    attributes[at] = attributes[at + 1] = r.pos
    attributes[at + 2] = attributes[at + 3] = -1
    // As encoders write it: the key, then the value.
    if (r.pos < end && r.bytes[r.pos] === 0x0a) {
      r.pos++
      const stop = readFrame(r, end)
      attributes[at] = r.pos
      attributes[at + 1] = r.pos = stop
      if (stop < end && r.bytes[stop] === 0x12) {
        r.pos++
        attributes[at + 3] = readFrame(r, end)
        attributes[at + 2] = r.pos
        r.pos = attributes[at + 3]!
      }
    }
    while (r.pos < end) {
      const tag = readVarint(r, end)
      if (tag !== 0x0a && tag !== 0x12) {
        skipField(r, tag, end, knownOfKeyValue)
        continue
      }
      const place = tag === 0x0a ? at : at + 2
      const stop = readFrame(r, end)
      attributes[place] = r.pos
      attributes[place + 1] = r.pos = stop
    }
  }

  private bodyOf(r: Reader): Value {
    r.pos = this.body.start
    return readAnyValue(r, this.body.stop, 1)
  }
}

function readSpan(r: Reader, end: number, span: Span): void {
  const stop = readFrame(r, end)
  span.start = r.pos
  span.stop = r.pos = stop
}

function clearSpan(span: Span): void {
  span.start = span.stop = 0
}

function textOfSpan(r: Reader, { start, stop }: Span): string {
  r.pos = start
  return takeWord(r, stop)
}

function readNanos(r: Reader, at: number): bigint {
  if (at < 0) return 0n
  r.pos = at
  return readFixed64(r, at + 8)
}
