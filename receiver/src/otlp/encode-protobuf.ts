import { type LogRecord, type OtelContext, type Value, WholeDouble } from '@madsci-events/sdk/event'

/** Records of one resource and scope. */
export interface LogGroup {
  context: OtelContext
  records: LogRecord[]
}

/**
 * ExportLogsServiceRequest (OTLP 1.x), the inverse of decodeProtobuf. No object is made for a message: each is written
 * behind five bytes that are kept free for its length.
 *
 *     tag  L L L L L  message …
 *          └─ filled when its end is known: a varint may have needless zeros
 *
 * Ids that are no hex of their length are left out, integers beyond 64 bits throw RangeError.
 */
export function encodeProtobuf(groups: readonly LogGroup[]): Uint8Array {
  pos = 0
  for (const { context, records } of groups) {
    writeMessage(0x0a, () => {
      writeMessage(0x0a, () => {
        writeAttributes(0x0a, context.resource)
        writeCount(0x10, context.resourceDroppedAttributesCount)
      })
      writeMessage(0x12, () => {
        const { scope } = context
        writeMessage(0x0a, () => {
          writeText(0x0a, scope.name ?? '')
          writeText(0x12, scope.version ?? '')
          writeAttributes(0x1a, scope.attributes ?? {})
          writeCount(0x20, scope.dropped_attributes_count ?? 0)
        })
        for (const record of records) writeMessage(0x12, () => writeRecord(record))
        writeText(0x1a, scope.schema_url ?? '')
      })
      writeText(0x1a, context.resourceSchemaUrl)
    })
  }
  return new Uint8Array(buffer.subarray(0, pos))
}

/**
 * One LogRecord, in memory that the next call uses again: 0 to `end` of `buffer`. Throws RangeError for what protobuf has not:
 * integers beyond 64 bits, lone surrogates, a negative severity.
 */
export function encodeRecord(record: LogRecord): { buffer: Buffer; end: number } {
  if (record.severityNumber < 0) throw new RangeError('a negative severity')
  pos = 0
  isStrict = true
  try {
    writeRecord(record)
  } finally {
    isStrict = false
  }
  return { buffer, end: pos }
}

// One request is written at a time, and the memory is used again.
let buffer = Buffer.allocUnsafe(1 << 20)
let pos = 0
/** Texts that are none are refused; else what is wrong in them becomes U+FFFD. */
let isStrict = false

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

function writeInt64(value: bigint): void {
  if (BigInt.asIntN(64, value) !== value) throw new RangeError('an integer beyond 64 bits')
  let rest = BigInt.asUintN(64, value)
  while (rest >= 128n) {
    buffer[pos++] = Number(rest & 127n) | 128
    rest >>= 7n
  }
  buffer[pos++] = Number(rest)
}

function writeMessage(tag: number, write: () => void): void {
  const start = begin(tag)
  write()
  end(start)
}

/** Gives the place of the length, for `end`. Tags are below 128. */
function begin(tag: number): number {
  reserve(16)
  buffer[pos++] = tag
  pos += 5
  return pos - 5
}

function end(start: number): void {
  let length = pos - start - 5
  for (let i = 0; i < 4; i++) {
    buffer[start + i] = (length & 127) | 128
    length >>>= 7
  }
  buffer[start + 4] = length
}

/** Empty text is not written. */
function writeText(tag: number, text: string): void {
  if (text !== '') writeWholeText(tag, text)
}

function writeWholeText(tag: number, text: string): void {
  // UTF-8 takes at most three bytes for each unit of UTF-16.
  reserve(text.length * 3 + 16)
  writeVarint(tag)
  const length = text.length
  if (length < 40) {
    // Its length in bytes then fits one byte; and short ASCII, which most of it is, is quicker written here than by a call.
    const start = pos + 1
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) {
        checkText(text)
        const bytes = buffer.write(text, start, 'utf8')
        buffer[start - 1] = bytes
        pos = start + bytes
        return
      }
      buffer[start + i] = code
    }
    buffer[start - 1] = length
    pos = start + length
    return
  }
  checkText(text)
  writeVarint(Buffer.byteLength(text))
  pos += buffer.write(text, pos, 'utf8')
}

function checkText(text: string): void {
  if (isStrict && !text.isWellFormed()) throw new RangeError('a lone surrogate')
}

function writeCount(tag: number, count: number): void {
  if (count === 0) return
  reserve(16)
  writeVarint(tag)
  writeVarint(count)
}

/** The fields of an AnyValue; null has none. */
function writeAnyValue(value: Value): void {
  reserve(32)
  if (value === null) return
  if (typeof value === 'string') writeWholeText(0x0a, value)
  else if (typeof value === 'boolean') {
    buffer[pos++] = 0x10
    buffer[pos++] = value ? 1 : 0
  } else if (typeof value === 'bigint') {
    buffer[pos++] = 0x18
    writeInt64(value)
  } else if (typeof value === 'number') {
    writeNumber(value)
  } else if ((value as object) instanceof WholeDouble) {
    buffer[pos++] = 0x21
    pos = buffer.writeDoubleLE((value as never as WholeDouble).value, pos)
  } else if (value instanceof Uint8Array) {
    reserve(value.length + 16)
    buffer[pos++] = 0x3a
    writeVarint(value.length)
    buffer.set(value, pos)
    pos += value.length
  } else if (Array.isArray(value)) {
    writeMessage(0x2a, () => {
      for (const member of value) writeAnyValueAt(0x0a, member)
    })
  } else {
    writeMessage(0x32, () => writeAttributes(0x0a, value))
  }
}

function writeNumber(value: number): void {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    buffer[pos++] = 0x21
    pos = buffer.writeDoubleLE(value, pos)
    return
  }
  buffer[pos++] = 0x18
  if (value >= 0) writeVarint(value)
  else writeInt64(BigInt(value))
}

function writeAttributes(tag: number, attributes: { [key: string]: Value }): void {
  for (const key of Object.keys(attributes)) writeKeyValue(tag, key, attributes[key]!)
}

/** As writeMessage, without a function for each of the many. */
function writeKeyValue(tag: number, key: string, value: Value): void {
  const start = begin(tag)
  writeText(0x0a, key)
  writeAnyValueAt(0x12, value)
  end(start)
}

function writeAnyValueAt(tag: number, value: Value): void {
  const start = begin(tag)
  writeAnyValue(value)
  end(start)
}

function writeFixed64(tag: number, value: bigint): void {
  if (value === 0n) return
  reserve(16)
  buffer[pos++] = tag
  pos = buffer.writeBigUInt64LE(value, pos)
}

function writeId(tag: number, id: string, bytes: number): void {
  if (id.length !== bytes * 2) return
  reserve(bytes + 8)
  buffer[pos++] = tag
  buffer[pos++] = bytes
  pos += buffer.write(id, pos, 'hex')
}

function writeRecord(record: LogRecord): void {
  writeFixed64(0x09, record.timeUnixNano)
  writeFixed64(0x59, record.observedTimeUnixNano)
  writeCount(0x10, record.severityNumber)
  writeText(0x1a, record.severityText)
  const { body } = record
  if (body !== undefined) writeAnyValueAt(0x2a, body)
  for (let i = 0; i < record.keys.length; i++) writeKeyValue(0x32, record.keys[i]!, record.values[i]!)
  writeCount(0x38, record.droppedAttributesCount)
  if (record.flags !== 0) {
    reserve(8)
    buffer[pos++] = 0x45
    pos = buffer.writeUInt32LE(record.flags, pos)
  }
  writeId(0x4a, record.traceId, 16)
  writeId(0x52, record.spanId, 8)
  writeText(0x62, record.eventName)
}
