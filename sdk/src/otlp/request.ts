import { varintBytes } from './writer.ts'

/** Records in a row that share resource and scope: their bytes as `Encoded` describes them. */
export interface Run {
  context: Uint8Array
  records: Uint8Array[]
  /** The sum of the records' bytes. */
  bytes: number
}

/** Runs → ExportLogsServiceRequest. Nothing is encoded again: it is lengths and copies. */
export function encodeRequest(runs: readonly Run[]): Buffer<ArrayBuffer> {
  const parts = runs.map(({ context, bytes }) => {
    const resourceBytes = readUInt32(context)
    const resource = context.subarray(4, 4 + resourceBytes)
    const scope = context.subarray(4 + resourceBytes)
    const scopeLogsBytes = scope.length + bytes
    const resourceLogsBytes = resource.length + 1 + varintBytes(scopeLogsBytes) + scopeLogsBytes
    return { resource, scope, scopeLogsBytes, resourceLogsBytes }
  })
  let total = 0
  for (const { resourceLogsBytes } of parts) total += 1 + varintBytes(resourceLogsBytes) + resourceLogsBytes
  const buffer = Buffer.allocUnsafe(total)
  let pos = 0
  const length = (fieldTag: number, bytes: number) => {
    buffer[pos++] = fieldTag
    let rest = bytes
    for (; rest >= 128; rest = Math.floor(rest / 128)) buffer[pos++] = (rest % 128) | 128
    buffer[pos++] = rest
  }
  const put = (bytes: Uint8Array) => {
    buffer.set(bytes, pos)
    pos += bytes.length
  }
  parts.forEach(({ resource, scope, scopeLogsBytes, resourceLogsBytes }, i) => {
    length(0x0a, resourceLogsBytes)
    put(resource)
    length(0x12, scopeLogsBytes)
    put(scope)
    for (const record of runs[i]!.records) put(record)
  })
  return buffer
}

function readUInt32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

/** What the reply says beside 200: how many records it refused, and why. Undefined for bytes that are no reply. */
export function decodeReply(body: Uint8Array): { rejected: number; message: string } | undefined {
  const partial = readFields(body).get(1)
  if (!(partial instanceof Uint8Array)) return undefined
  const fields = readFields(partial)
  const rejected = fields.get(1)
  return { rejected: typeof rejected === 'number' ? rejected : 0, message: toText(fields.get(2)) }
}

/** The message of a google.rpc.Status, which is the body of an error; undefined for bytes that are none. */
export function decodeStatus(body: Uint8Array): string | undefined {
  return toText(readFields(body).get(2)) || undefined
}

const toText = (value: number | Uint8Array | undefined) =>
  value instanceof Uint8Array ? Buffer.from(value).toString() : ''

/** The last value of each field; none for bytes that are no message. */
function readFields(body: Uint8Array): Map<number, number | Uint8Array> {
  const fields = new Map<number, number | Uint8Array>()
  const reader = { body, pos: 0 }
  try {
    while (reader.pos < body.length) {
      const field = readVarint(reader)
      const type = field & 7
      if (type === 0) fields.set(field >>> 3, readVarint(reader))
      else if (type === 2) {
        const length = readVarint(reader)
        fields.set(field >>> 3, body.subarray(reader.pos, reader.pos + length))
        reader.pos += length
      } else if (type === 1) reader.pos += 8
      else if (type === 5) reader.pos += 4
      else return new Map()
    }
  } catch {
    return new Map()
  }
  return reader.pos === body.length ? fields : new Map()
}

interface Reader {
  body: Uint8Array
  pos: number
}

function readVarint(reader: Reader): number {
  let value = 0
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = reader.body[reader.pos++]
    if (byte === undefined) break
    value += (byte & 127) * 2 ** shift
    if (byte < 128) return value
  }
  throw new RangeError('no varint')
}
