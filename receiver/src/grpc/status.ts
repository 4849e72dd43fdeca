import type { EventError } from '@madsci-events/sdk/event'
import { codeOf, cut, encodeProtobufStatus, toBadRequest, toRetryInfo } from '../otlp/reply.ts'

export const grpcCodes = { ok: 0, deadlineExceeded: 4, unimplemented: 12, unavailable: 14 } as const

/** How a call ends, as its trailers say it. */
export interface GrpcStatus {
  code: number
  message: string
  /** google.rpc.Status, for `grpc-status-details-bin`. */
  details?: Uint8Array
}

/**
 * What a client may try again is UNAVAILABLE with RetryInfo; RESOURCE_EXHAUSTED, without it, is for what is too large.
 * Source: OTLP 1.x, "OTLP/gRPC Response" and "Throttling".
 */
export function toGrpcStatus(error: EventError): GrpcStatus {
  const message = cut(error.message)
  if (error.retry) {
    const code = grpcCodes.unavailable
    return {
      code,
      message,
      details: encodeProtobufStatus(code, message, [toRetryInfo(error.retryAfterSeconds)]),
    }
  }
  const code = error.code === 'EVT_ENCODING' ? grpcCodes.unimplemented : codeOf(error)
  if (error.status !== 400) return { code, message }
  return { code, message, details: encodeProtobufStatus(code, message, [toBadRequest(message)]) }
}

export function toTrailers({ code, message, details }: GrpcStatus): { [name: string]: string } {
  return {
    'grpc-status': String(code),
    ...(message !== '' && { 'grpc-message': percentEncode(message) }),
    ...(details && { 'grpc-status-details-bin': Buffer.from(details).toString('base64') }),
  }
}

/** Printable ASCII stands for itself, the rest and `%` for its UTF-8 bytes. Source: gRPC over HTTP/2, Status-Message. */
function percentEncode(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/g, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}
