import { EventError } from '@madsci-events/sdk/event'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import { splitLogin } from '../url.ts'
import { readReply } from './read-reply.ts'

/** Signals of OTLP that this receiver does not keep. */
export const passedSignals = ['traces', 'metrics'] as const
export type PassedSignal = (typeof passedSignals)[number]

export interface PassedReply {
  status: number
  contentType: string
  retryAfter: string | undefined
  body: Buffer
}

/**
 * Passes a request on as it came and gives the answer as it came: what the other side acknowledged, we acknowledge.
 * Throws EVT_UNREACHABLE (retry).
 */
export type PassOn = (
  signal: PassedSignal,
  body: Uint8Array,
  headers: { contentType: string; contentEncoding?: string },
) => Promise<PassedReply>

const timeoutMs = 30_000

/** A login in the URL becomes a header. */
export function createPassOn(base: URL): PassOn {
  const { url: bare, headers } = splitLogin(base)
  return async (signal, body, { contentType, contentEncoding }) => {
    const url = new URL(bare)
    url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/${signal}`
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: {
          ...headers,
          'content-type': contentType,
          ...(contentEncoding !== undefined && { 'content-encoding': contentEncoding }),
        },
        body: body as Uint8Array<ArrayBuffer>,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      })
      const reply = await readReply(answer)
      return {
        status: answer.status,
        contentType: answer.headers.get('content-type') ?? contentType,
        retryAfter: answer.headers.get('retry-after') ?? undefined,
        body: reply ?? Buffer.alloc(0),
      }
    } catch (cause) {
      throw new EventError('EVT_UNREACHABLE', `otlp_forward_url cannot be reached: ${signal} wait`, { cause })
    }
  }
}

/**
 * Takes and drops what nobody asked for: SDKs that send all signals to one address would else complain for ever. Counted,
 * and told once an hour for each signal.
 */
export function createDrop({ log, metric }: { log: Log; metric: Metric }): PassOn {
  const throttle = createThrottle(3_600_000)
  metric.expect('telemetry_dropped', ['traces', 'metrics'])
  return async (signal, _body, { contentType }) => {
    metric.add('telemetry_dropped', 1, signal)
    throttle(signal, (suppressed) =>
      log.warn(
        { signal, suppressed },
        `requests with ${signal} are taken and dropped: this receiver keeps logs; otlp_forward_url names an OTLP/HTTP receiver to which they are passed on`,
      ),
    )
    const body = Buffer.from(contentType === 'application/json' ? '{}' : '')
    return { status: 200, contentType, retryAfter: undefined, body }
  }
}
