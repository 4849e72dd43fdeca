import {
  parseRetryAfter,
  readExportReply,
  refusalStatuses,
  showForeignReply,
  showText,
} from '@madsci-events/sdk/event'
import { hideSecrets } from '../url.ts'
import { contentTypeOf, type Destination } from './destination.ts'
import { readReply } from './read-reply.ts'

/** What became of a request. */
export type SendOutcome =
  | { kind: 'delivered'; refusedCount: number; message: string }
  /** Nothing is wrong with the events: they are sent again. */
  | { kind: 'retry'; reason: string; afterMs: number | undefined }
  /** At least one of the events will never be taken. */
  | { kind: 'refused'; reason: string }

/** Without what the request was sent with, should the other side repeat it, and without what URLs hide. */
function hideHeaders(text: string, headers: Destination['headers']): string {
  const values = Object.values(headers)
  return hideSecrets(text, [...values, ...values.flatMap((value) => value.split(/\s+/))])
}

/** Never throws. Source: OTLP 1.x, OTLP/HTTP Response; other failures than 400, 413 and 422 are tried again, also those that OTLP would drop. */
export async function sendBatch(
  { url, headers, protocol, compression, timeoutMs }: Destination,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<SendOutcome> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        'user-agent': 'madsci-events-receiver',
        ...headers,
        'content-type': contentTypeOf(protocol),
        ...(compression === 'gzip' && { 'content-encoding': 'gzip' }),
      },
      body: body as Uint8Array<ArrayBuffer>,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    const reply = await readReply(answer)
    const status = answer.status
    if (status >= 200 && status < 300) {
      const type = answer.headers.get('content-type')
      const taken = reply && readExportReply(reply, type, contentTypeOf(protocol))
      if (taken)
        return {
          kind: 'delivered',
          refusedCount: taken.rejected,
          message: hideHeaders(taken.message, headers),
        }
      const came = reply ? showForeignReply(reply, type) : 'a reply that is too long'
      const reason = hideHeaders(`${status} is no answer of OTLP, but ${came}`, headers)
      return { kind: 'retry', reason, afterMs: undefined }
    }
    // A Status in protobuf has its message between some bytes.
    const reason = hideHeaders(`${status} ${showText(reply?.toString('latin1') ?? '')}`.trim(), headers)
    if (refusalStatuses.has(status)) return { kind: 'refused', reason }
    return { kind: 'retry', reason, afterMs: parseRetryAfter(answer.headers.get('retry-after')) }
  } catch (error) {
    const { message, cause } = error as Error
    const reason = cause instanceof Error && cause.message ? `${message}: ${cause.message}` : message
    return { kind: 'retry', reason: hideHeaders(reason, headers).slice(0, 300), afterMs: undefined }
  }
}
