import { type Event, type OtelScope, toRecord, type Value } from '@madsci-events/sdk/event'

export interface EncodeOptions {
  encoding?: 'protobuf' | 'json'
  resource?: { [key: string]: Value }
  scope?: OtelScope
}

/**
 * Events → ExportLogsServiceRequest, as a program with an OTLP exporter would send them. Written for load generators:
 * no object is made for a message, each writes itself behind its length.
 */
export function encodeLogs(events: readonly Event[], options: EncodeOptions = {}): Uint8Array<ArrayBuffer> {
  const { encoding = 'protobuf', resource = { 'service.name': 'load' }, scope = {} } = options
  return encoding === 'json' ? encodeJson(events, resource, scope) : encodeProtobuf(events, resource, scope)
}

let buffer = Buffer.allocUnsafe(1 << 20)
let pos = 0

function reserve(bytes: number): void {
  if (pos + bytes <= buffer.length) return
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, pos + bytes))
  buffer.copy(larger, 0, 0, pos)
  buffer = larger
}

function writeVarint(number: number): void {
  let rest = number
  while (rest >= 128) {
    buffer[pos++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  buffer[pos++] = rest
}

function writeVarint64(number: bigint): void {
  let rest = BigInt.asUintN(64, number)
  while (rest >= 128n) {
    buffer[pos++] = Number(rest & 127n) | 128
    rest >>= 7n
  }
  buffer[pos++] = Number(rest)
}

/** Five bytes are kept free for the length; a varint may have needless zeros, and every decoder reads them. */
function writeMessage(tag: number, write: () => void): void {
  reserve(64)
  writeVarint(tag)
  const start = pos
  pos += 5
  write()
  let length = pos - start - 5
  for (let i = 0; i < 4; i++) {
    buffer[start + i] = (length & 127) | 128
    length >>>= 7
  }
  buffer[start + 4] = length
}

function writeText(tag: number, text: string): void {
  if (text === '') return
  reserve(text.length * 3 + 16)
  writeVarint(tag)
  const length = Buffer.byteLength(text)
  writeVarint(length)
  pos += buffer.write(text, pos, 'utf8')
}

function writeAnyValue(value: Value | undefined): void {
  reserve(32)
  if (value === null || value === undefined) return
  if (typeof value === 'string') {
    if (value !== '') writeText(0x0a, value)
    else {
      buffer[pos++] = 0x0a
      buffer[pos++] = 0
    }
  } else if (typeof value === 'boolean') {
    buffer[pos++] = 0x10
    buffer[pos++] = value ? 1 : 0
  } else if (typeof value === 'bigint' || Number.isSafeInteger(value)) {
    buffer[pos++] = 0x18
    if (typeof value === 'number' && value >= 0) writeVarint(value)
    else writeVarint64(BigInt(value as number))
  } else if (typeof value === 'number') {
    buffer[pos++] = 0x21
    pos = buffer.writeDoubleLE(value, pos)
  } else if (value instanceof Uint8Array) {
    reserve(value.length + 16)
    buffer[pos++] = 0x3a
    writeVarint(value.length)
    buffer.set(value, pos)
    pos += value.length
  } else if (Array.isArray(value)) {
    writeMessage(0x2a, () => {
      for (const member of value) writeMessage(0x0a, () => writeAnyValue(member))
    })
  } else {
    writeMessage(0x32, () => writeAttributes(0x0a, value))
  }
}

function writeAttributes(tag: number, attributes: { [key: string]: Value }): void {
  for (const key of Object.keys(attributes)) writeKeyValue(tag, key, attributes[key]!)
}

function writeKeyValue(tag: number, key: string, value: Value): void {
  writeMessage(tag, () => {
    writeText(0x0a, key)
    writeMessage(0x12, () => writeAnyValue(value))
  })
}

function writeRecord(event: Event): void {
  const record = toRecord(event)
  reserve(128)
  buffer[pos++] = 0x09
  pos = buffer.writeBigUInt64LE(record.timeUnixNano, pos)
  if (record.severityNumber !== 0) {
    buffer[pos++] = 0x10
    writeVarint(record.severityNumber)
  }
  writeText(0x1a, record.severityText)
  writeMessage(0x2a, () => writeAnyValue(record.body))
  for (let i = 0; i < record.keys.length; i++) writeKeyValue(0x32, record.keys[i]!, record.values[i]!)
  for (const [tag, id] of [
    [0x4a, record.traceId],
    [0x52, record.spanId],
  ] as const) {
    if (id === '') continue
    reserve(32)
    buffer[pos++] = tag
    buffer[pos++] = id.length / 2
    pos += buffer.write(id, pos, 'hex')
  }
  reserve(16)
  buffer[pos++] = 0x59
  pos = buffer.writeBigUInt64LE(record.observedTimeUnixNano, pos)
  writeText(0x62, record.eventName)
}

function encodeProtobuf(
  events: readonly Event[],
  resource: { [key: string]: Value },
  scope: OtelScope,
): Uint8Array<ArrayBuffer> {
  pos = 0
  writeMessage(0x0a, () => {
    writeMessage(0x0a, () => writeAttributes(0x0a, resource))
    writeMessage(0x12, () => {
      writeMessage(0x0a, () => {
        writeText(0x0a, scope.name ?? '')
        writeText(0x12, scope.version ?? '')
        writeAttributes(0x1a, scope.attributes ?? {})
      })
      for (const event of events) writeMessage(0x12, () => writeRecord(event))
      writeText(0x1a, scope.schema_url ?? '')
    })
  })
  return new Uint8Array(buffer.subarray(0, pos))
}

function toAnyValue(value: Value | undefined): object {
  if (value === null || value === undefined) return {}
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return { intValue: String(value) }
  if (typeof value === 'number') return { doubleValue: Number.isFinite(value) ? value : String(value) }
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(toAnyValue) } }
  return { kvlistValue: { values: toKeyValues(Object.keys(value), Object.values(value)) } }
}

function toKeyValues(keys: string[], values: Value[]): object[] {
  return keys.map((key, i) => ({ key, value: toAnyValue(values[i]) }))
}

function encodeJson(
  events: readonly Event[],
  resource: { [key: string]: Value },
  { name, version, attributes = {}, schema_url }: OtelScope,
): Uint8Array<ArrayBuffer> {
  const logRecords = events.map((event) => {
    const record = toRecord(event)
    return {
      timeUnixNano: String(record.timeUnixNano),
      observedTimeUnixNano: String(record.observedTimeUnixNano),
      severityNumber: record.severityNumber,
      severityText: record.severityText,
      body: toAnyValue(record.body),
      attributes: toKeyValues(record.keys, record.values),
      traceId: record.traceId,
      spanId: record.spanId,
      eventName: record.eventName,
    }
  })
  const scopeLogs = {
    scope: { name, version, attributes: toKeyValues(Object.keys(attributes), Object.values(attributes)) },
    logRecords,
    schemaUrl: schema_url,
  }
  const resourceAttributes = toKeyValues(Object.keys(resource), Object.values(resource))
  const request = { resourceLogs: [{ resource: { attributes: resourceAttributes }, scopeLogs: [scopeLogs] }] }
  return new Uint8Array(Buffer.from(JSON.stringify(request)))
}
