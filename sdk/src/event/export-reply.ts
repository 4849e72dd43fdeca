import { isObject } from './event.ts'
import { parseJson } from './json.ts'

/** What an OTLP endpoint says beside a 2xx: how many records it refused, and why. */
export interface ExportReply {
  rejected: number
  message: string
}

/** No reply is longer: OTLP's own bound. What is longer need not be read to its end. */
export const maxReplyBytes = 4 * 1024 * 1024
const maxShown = 200
/**
 * Of answers that are no success, those that are about the records: a part of them may be taken. What is wrong with the address, the
 * login or the server is mended some day, and no reason to lose events.
 */
export const refusalStatuses: ReadonlySet<number> = new Set([400, 413, 422])

/**
 * The body of a 2xx as an ExportLogsServiceResponse of the type that it states, or of the request's, if it states none. An
 * empty one refuses nothing. Undefined for everything else (a login page, the JSON of another API, a text): a proxy or a
 * wrong address answers so, and nobody has the records. Source: OTLP 1.x, OTLP/HTTP Response.
 */
export function readExportReply(
  body: Uint8Array,
  contentType: string | null | undefined,
  requestType: string,
): ExportReply | undefined {
  if (body.length === 0) return { rejected: 0, message: '' }
  const [type = ''] = (contentType || requestType).toLowerCase().split(';')
  try {
    if (/^application\/(x-)?protobuf$/.test(type.trim())) return readProtobuf(body)
    if (/^application\/json$/.test(type.trim())) return readJson(body)
  } catch {
    // Not of the type that it states.
  }
  return undefined
}

/** What came instead, for people: its type and its first characters, on one line. */
export function showForeignReply(body: Uint8Array, contentType: string | null | undefined): string {
  return `${showText(contentType || 'no content type')}: ${showText(Buffer.from(body.subarray(0, 4 * maxShown)).toString())}`
}

/** Of any bytes what is safe to print: control and format characters are blanks, and it has an end. */
export function showText(text: string): string {
  const plain = text
    .replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S}]+/gu, ' ')
    .replaceAll('\ufffd', '?')
    .trim()
  return plain.length > maxShown ? `${plain.slice(0, maxShown)}…` : plain
}

function readJson(body: Uint8Array): ExportReply | undefined {
  const answer = parseJson(Buffer.from(body).toString())
  if (!isObject(answer)) return undefined
  const partial = answer.partialSuccess ?? answer.partial_success
  // Members of later versions may stand beside it; alone they are another API's.
  if (partial === undefined && Object.keys(answer).length > 0) return undefined
  if (partial === undefined || partial === null) return { rejected: 0, message: '' }
  if (!isObject(partial)) return undefined
  const count = partial.rejectedLogRecords ?? partial.rejected_log_records ?? 0
  const message = partial.errorMessage ?? partial.error_message ?? ''
  const isCount = typeof count === 'number' || (typeof count === 'string' && /^-?\d+$/.test(count))
  if (!isCount || typeof message !== 'string') return undefined
  return { rejected: toCount(Number(count)), message }
}

function readProtobuf(body: Uint8Array): ExportReply | undefined {
  const reply = readFields(body)
  const partial = reply?.get(1)
  if (reply === undefined || typeof partial === 'number') return undefined
  const fields = readFields(partial ?? new Uint8Array())
  const rejected = fields?.get(1) ?? 0
  const message = fields?.get(2) ?? new Uint8Array()
  if (fields === undefined || typeof rejected !== 'number' || typeof message === 'number') return undefined
  return { rejected: toCount(rejected), message: Buffer.from(message).toString() }
}

const toCount = (count: number) => (Number.isSafeInteger(count) && count > 0 ? count : 0)

/** The message of a google.rpc.Status, which is the body of an error; undefined for bytes that are none. */
export function readStatusMessage(body: Uint8Array): string | undefined {
  const message = readFields(body)?.get(2)
  return message instanceof Uint8Array && message.length > 0 ? Buffer.from(message).toString() : undefined
}

/** The last value of each field; undefined for bytes that are no message. */
function readFields(body: Uint8Array): Map<number, number | Uint8Array> | undefined {
  const fields = new Map<number, number | Uint8Array>()
  const reader = { body, pos: 0 }
  while (reader.pos < body.length) {
    const field = readVarint(reader)
    if (field === undefined || field >>> 3 === 0) return undefined
    const type = field & 7
    if (type === 0) {
      const value = readVarint(reader)
      if (value === undefined) return undefined
      fields.set(field >>> 3, value)
    } else if (type === 2) {
      const length = readVarint(reader)
      if (length === undefined || reader.pos + length > body.length) return undefined
      fields.set(field >>> 3, body.subarray(reader.pos, reader.pos + length))
      reader.pos += length
    } else if (type === 1) reader.pos += 8
    else if (type === 5) reader.pos += 4
    else return undefined
  }
  return reader.pos === body.length ? fields : undefined
}

function readVarint(reader: { body: Uint8Array; pos: number }): number | undefined {
  let value = 0
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = reader.body[reader.pos++]
    if (byte === undefined) return undefined
    value += (byte & 127) * 2 ** shift
    if (byte < 128) return value
  }
  return undefined
}
