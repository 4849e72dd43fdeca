import type { AnyValue, HrTime } from '@opentelemetry/api'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { tag } from './encode.ts'
import type { Run } from './request.ts'

type AnyValueMap = { [key: string]: AnyValue }

/** What `Encoded` and `EncodedContext` hold → records of the OpenTelemetry SDK, for its exporters. Our own bytes only. */
export function decodeRuns(runs: readonly Run[]): ReadableLogRecord[] {
  return runs.flatMap(({ context, records }) => {
    const shared = decodeContext(context)
    return records.map((bytes) => decodeRecord(bytes, shared))
  })
}

interface SharedParts {
  resource: Resource
  instrumentationScope: ReadableLogRecord['instrumentationScope']
}

class Reader {
  readonly bytes: Buffer
  pos: number
  readonly end: number
  constructor(bytes: Uint8Array, pos = 0, end = bytes.length) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.pos = pos
    this.end = end
  }
  varint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.bytes[this.pos++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  int64(): number | bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.pos++]!
      value |= BigInt(byte & 127) << shift
      if (byte < 128) break
    }
    const signed = BigInt.asIntN(64, value)
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed
  }
  message(): Reader {
    const length = this.varint()
    const start = this.pos
    this.pos += length
    return new Reader(this.bytes, start, this.pos)
  }
  text(): string {
    const { pos, end } = this.message()
    return this.bytes.toString('utf8', pos, end)
  }
}

function decodeContext(bytes: Uint8Array): SharedParts {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const middle = 4 + all.readUInt32LE(0)
  const attributes: AnyValueMap = {}
  let schemaUrl: string | undefined
  for (const reader = new Reader(all, 4, middle); reader.pos < reader.end; ) {
    if (reader.bytes[reader.pos++] === 0x0a) readAttributes(reader.message(), 0x0a, attributes)
    else schemaUrl = reader.text()
  }
  const scope = {
    name: '',
    version: undefined as string | undefined,
    schemaUrl: undefined as string | undefined,
  }
  const scopeAttributes: AnyValueMap = {}
  for (const reader = new Reader(all, middle); reader.pos < reader.end; ) {
    if (reader.bytes[reader.pos++] !== 0x0a) {
      scope.schemaUrl = reader.text()
      continue
    }
    for (const inner = reader.message(); inner.pos < inner.end; ) {
      const field = inner.bytes[inner.pos++]
      if (field === 0x0a) scope.name = inner.text()
      else if (field === 0x12) scope.version = inner.text()
      else readKeyValue(inner.message(), scopeAttributes)
    }
  }
  const { name, version, schemaUrl: scopeSchemaUrl } = scope
  return {
    resource: resourceFromAttributes(attributes as never, schemaUrl === undefined ? {} : { schemaUrl }),
    instrumentationScope: {
      name,
      ...(version !== undefined && { version }),
      ...(scopeSchemaUrl !== undefined && { schemaUrl: scopeSchemaUrl }),
      ...(Object.keys(scopeAttributes).length > 0 && { attributes: scopeAttributes as never }),
    },
  }
}

function readAttributes(reader: Reader, fieldTag: number, into: AnyValueMap): void {
  while (reader.pos < reader.end)
    if (reader.bytes[reader.pos++] === fieldTag) readKeyValue(reader.message(), into)
}

function readKeyValue(reader: Reader, into: AnyValueMap): void {
  let key = ''
  let value: AnyValue
  while (reader.pos < reader.end) {
    if (reader.bytes[reader.pos++] === 0x0a) key = reader.text()
    else value = readValue(reader.message())
  }
  Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true })
}

function readValue(reader: Reader): AnyValue {
  if (reader.pos >= reader.end) return null
  const { bytes } = reader
  switch (bytes[reader.pos++]) {
    case 0x0a:
      return reader.text()
    case 0x10:
      return bytes[reader.pos] === 1
    case 0x18:
      return reader.int64() as AnyValue
    case 0x21:
      return bytes.readDoubleLE(reader.pos)
    case 0x2a: {
      const list: AnyValue[] = []
      for (const inner = reader.message(); inner.pos < inner.end; ) {
        inner.pos++
        list.push(readValue(inner.message()))
      }
      return list
    }
    case 0x32: {
      const members: AnyValueMap = {}
      readAttributes(reader.message(), 0x0a, members)
      return members
    }
    default: {
      const { pos, end } = reader.message()
      return new Uint8Array(bytes.subarray(pos, end))
    }
  }
}

function decodeRecord(bytes: Uint8Array, shared: SharedParts): ReadableLogRecord {
  const attributes: AnyValueMap = {}
  const record = {
    hrTime: [0, 0] as HrTime,
    hrTimeObserved: [0, 0] as HrTime,
    droppedAttributesCount: 0,
    attributes,
  }
  const more: {
    severityNumber?: number
    severityText?: string
    eventName?: string
    body?: AnyValue
  } = {}
  const trace = { traceId: '', spanId: '', traceFlags: 0 }
  const outer = new Reader(bytes)
  outer.pos++
  for (const reader = outer.message(); reader.pos < reader.end; ) {
    switch (reader.bytes[reader.pos++]) {
      case tag.time:
        record.hrTime = readTime(reader)
        break
      case tag.observedTime:
        record.hrTimeObserved = readTime(reader)
        break
      case tag.severityNumber:
        more.severityNumber = reader.varint()
        break
      case tag.severityText:
        more.severityText = reader.text()
        break
      case tag.eventName:
        more.eventName = reader.text()
        break
      case tag.body:
        more.body = readValue(reader.message())
        break
      case tag.attribute:
        readKeyValue(reader.message(), attributes)
        break
      case tag.droppedAttributesCount:
        record.droppedAttributesCount = reader.varint()
        break
      case tag.flags:
        trace.traceFlags = reader.bytes.readUInt32LE(reader.pos)
        reader.pos += 4
        break
      case tag.traceId:
        trace.traceId = readHex(reader.message())
        break
      case tag.spanId:
        trace.spanId = readHex(reader.message())
        break
      default:
        throw new Error('BUG: bytes that are no record of ours')
    }
  }
  const hasTrace = trace.traceId !== '' || trace.spanId !== ''
  return { ...record, ...(more as object), ...shared, ...(hasTrace && { spanContext: trace }) }
}

function readTime(reader: Reader): HrTime {
  const unixNano = reader.bytes.readBigUInt64LE(reader.pos)
  reader.pos += 8
  return [Number(unixNano / 1_000_000_000n), Number(unixNano % 1_000_000_000n)]
}

function readHex({ bytes, pos, end }: Reader): string {
  return bytes.toString('hex', pos, end)
}
