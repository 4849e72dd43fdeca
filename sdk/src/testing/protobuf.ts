import { isUtf8 } from 'node:buffer'
import { EventError } from '../event/error.ts'
import type { OtelScope, Value } from '../event/event.ts'
import type { LogRecord } from '../event/record.ts'
import { type ScopeLogs, toInteger, toMembers } from './logs.ts'

/** ExportLogsServiceRequest → the logs of each scope. Throws EVT_OTLP. Written to be short, not fast. */
export function decodeProtobuf(bytes: Uint8Array): ScopeLogs[] {
  return listOf(bytes, 1).flatMap((resourceLogs) => {
    const fields = readFields(resourceLogs)
    const resource = readAttributes(messageIn(fields, 1), 1)
    return messagesIn(fields, 2).map((scopeLogs) => {
      const members = readFields(scopeLogs)
      const records = messagesIn(members, 2).map(readRecord)
      return { resource, scope: readScope(messageIn(members, 1)), records }
    })
  })
}

/** Numbers as bigint, whatever their width; bytes as they lie there. */
type Fields = Map<number, (bigint | Buffer)[]>

function readFields(bytes: Uint8Array): Fields {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const fields: Fields = new Map()
  let pos = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = buffer[pos++]
      if (byte === undefined) throw malformed()
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
    throw malformed()
  }
  const take = (length: number) => {
    if (pos + length > buffer.length) throw malformed()
    pos += length
    return buffer.subarray(pos - length, pos)
  }
  const readers = [varint, () => take(8).readBigUInt64LE(), () => take(Number(varint()))]
  while (pos < buffer.length) {
    const tag = Number(varint())
    const read = tag % 8 === 5 ? () => BigInt(take(4).readUInt32LE()) : readers[tag % 8]
    if (read === undefined) throw malformed()
    const number = Math.floor(tag / 8)
    const values = fields.get(number) ?? []
    values.push(read())
    fields.set(number, values)
  }
  return fields
}

function listOf(bytes: Uint8Array, number: number): Buffer[] {
  return messagesIn(readFields(bytes), number)
}

function messagesIn(fields: Fields, number: number): Buffer[] {
  return (fields.get(number) ?? []).map((value) => {
    if (typeof value === 'bigint') throw malformed()
    return value
  })
}

function messageIn(fields: Fields, number: number): Buffer {
  return messagesIn(fields, number).at(-1) ?? Buffer.alloc(0)
}

function textIn(fields: Fields, number: number): string {
  const bytes = messageIn(fields, number)
  if (!isUtf8(bytes)) throw malformed()
  return bytes.toString()
}

function numberIn(fields: Fields, number: number): bigint {
  const value = fields.get(number)?.at(-1) ?? 0n
  if (typeof value !== 'bigint') throw malformed()
  return value
}

function idIn(fields: Fields, number: number, byteCount: number): string {
  const bytes = messageIn(fields, number)
  return bytes.length === byteCount && bytes.some((byte) => byte !== 0) ? bytes.toString('hex') : ''
}

function readRecord(bytes: Buffer): LogRecord {
  const fields = readFields(bytes)
  const pairs = messagesIn(fields, 6).map(readPair)
  return {
    timeUnixNano: numberIn(fields, 1),
    observedTimeUnixNano: numberIn(fields, 11),
    severityNumber: Number(numberIn(fields, 2)),
    severityText: textIn(fields, 3),
    eventName: textIn(fields, 12),
    body: fields.has(5) ? readAnyValue(messageIn(fields, 5)) : undefined,
    keys: pairs.map(([key]) => key),
    values: pairs.map(([, value]) => value),
    droppedAttributesCount: Number(numberIn(fields, 7)),
    flags: Number(numberIn(fields, 8)) & 0xff,
    traceId: idIn(fields, 9, 16),
    spanId: idIn(fields, 10, 8),
  }
}

function readScope(bytes: Buffer): OtelScope {
  const fields = readFields(bytes)
  const scope: OtelScope = {}
  if (fields.has(1)) scope.name = textIn(fields, 1)
  if (fields.has(2)) scope.version = textIn(fields, 2)
  if (fields.has(3)) scope.attributes = readAttributes(bytes, 3)
  return scope
}

function readAttributes(bytes: Buffer, number: number): { [key: string]: Value } {
  return toMembers(listOf(bytes, number).map(readPair))
}

function readPair(bytes: Buffer): [string, Value] {
  const fields = readFields(bytes)
  return [textIn(fields, 1), readAnyValue(messageIn(fields, 2))]
}

function readAnyValue(bytes: Buffer): Value {
  const fields = readFields(bytes)
  if (fields.has(1)) return textIn(fields, 1)
  if (fields.has(2)) return numberIn(fields, 2) !== 0n
  if (fields.has(3)) return toInteger(numberIn(fields, 3))
  if (fields.has(4)) return readDouble(numberIn(fields, 4))
  if (fields.has(5)) return listOf(messageIn(fields, 5), 1).map(readAnyValue)
  if (fields.has(6)) return readAttributes(messageIn(fields, 6), 1)
  if (fields.has(7)) return new Uint8Array(messageIn(fields, 7))
  return null
}

function readDouble(bits: bigint): number {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(bits)
  return buffer.readDoubleLE()
}

function malformed(): EventError {
  return new EventError('EVT_OTLP')
}
