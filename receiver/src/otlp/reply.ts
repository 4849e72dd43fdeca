import type { EventError } from '@madsci-events/sdk/event'
import { framed, varint } from './write.ts'

/** The two encodings of OTLP/HTTP, by their content types. */
export type OtlpEncoding = 'protobuf' | 'json'

export const contentTypes: { [encoding in OtlpEncoding]: string } = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
}

/** The encoding that a Content-Type names, parameters aside; undefined for any other type. */
export function encodingOf(contentType: string | undefined): OtlpEncoding | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === contentTypes.protobuf || type === 'application/protobuf') return 'protobuf'
  return type === contentTypes.json ? 'json' : undefined
}

export interface PartialSuccess {
  rejectedCount: number
  /** What was wrong, or a warning when nothing was rejected. */
  message: string
}

const maxMessageChars = 1000

/** ExportLogsServiceResponse (OTLP 1.x). A full success has partial_success unset: an empty message, or `{}`. */
export function encodeSuccess(encoding: OtlpEncoding, partial?: PartialSuccess): Uint8Array {
  if (!partial) return encoding === 'json' ? Buffer.from('{}') : new Uint8Array()
  const { rejectedCount, message } = partial
  const text = cut(message)
  if (encoding === 'json') {
    const members = { rejectedLogRecords: String(rejectedCount), errorMessage: text }
    return Buffer.from(JSON.stringify({ partialSuccess: members }))
  }
  const inner = [
    ...(rejectedCount > 0 ? [Uint8Array.of(0x08), varint(rejectedCount)] : []),
    ...(text === '' ? [] : [framed(0x12, Buffer.from(text))]),
  ]
  return framed(0x0a, Buffer.concat(inner))
}

/** google.rpc.Code, by what our table says of an error. */
export function codeOf({ status }: EventError): number {
  switch (status) {
    case 400:
    case 405:
    case 415:
    case 422:
      return 3 // INVALID_ARGUMENT
    case 404:
      return 5 // NOT_FOUND
    case 413:
    case 429:
      return 8 // RESOURCE_EXHAUSTED
    case 503:
      return 14 // UNAVAILABLE
    default:
      return 13 // INTERNAL
  }
}

const badRequestType = 'type.googleapis.com/google.rpc.BadRequest'

/** google.rpc.Status; a 400 carries its reason once more as google.rpc.BadRequest, as OTLP asks. */
export function encodeStatus(encoding: OtlpEncoding, error: EventError): Uint8Array {
  const code = codeOf(error)
  const message = cut(error.message)
  const isBad = error.status === 400
  if (encoding === 'json') {
    const details = isBad
      ? [{ '@type': badRequestType, fieldViolations: [{ field: 'body', description: message }] }]
      : []
    return Buffer.from(JSON.stringify({ code, message, details }))
  }
  return encodeProtobufStatus(code, message, isBad ? [toBadRequest(message)] : [])
}

/** google.rpc.Status with details, each a google.protobuf.Any. */
export function encodeProtobufStatus(code: number, message: string, details: Uint8Array[]): Uint8Array {
  const head = [Uint8Array.of(0x08), varint(code), framed(0x12, Buffer.from(message))]
  return Buffer.concat([...head, ...details.map((detail) => framed(0x1a, detail))])
}

/** google.rpc.BadRequest as google.protobuf.Any. */
export function toBadRequest(message: string): Uint8Array {
  const violation = Buffer.concat([framed(0x0a, Buffer.from('body')), framed(0x12, Buffer.from(message))])
  return Buffer.concat([framed(0x0a, Buffer.from(badRequestType)), framed(0x12, framed(0x0a, violation))])
}

/** google.rpc.RetryInfo as google.protobuf.Any. */
export function toRetryInfo(seconds: number): Uint8Array {
  const delay = Buffer.concat([Uint8Array.of(0x08), varint(Math.ceil(seconds))])
  const type = Buffer.from('type.googleapis.com/google.rpc.RetryInfo')
  return Buffer.concat([framed(0x0a, type), framed(0x12, framed(0x0a, delay))])
}

/** A reply stays far below the 4 MiB that a client must accept. */
export function cut(text: string): string {
  return (text.length > maxMessageChars ? `${text.slice(0, maxMessageChars)}…` : text).toWellFormed()
}
