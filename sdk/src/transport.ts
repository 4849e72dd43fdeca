import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { createAgent } from './agent.ts'
import { maxReplyBytes } from './event/export-reply.ts'
import { parseRetryAfter } from './event/retry.ts'
import type { Settings } from './setting.ts'
import { version } from './version.ts'

const compress = promisify(gzip)

export type Answer =
  | {
      kind: 'answer'
      status: number
      contentType: string | undefined
      /** Undefined when it is longer than a reply can be. */
      body: Buffer | undefined
      retryAfterMs: number | undefined
    }
  | { kind: 'none'; error: Error }

export interface Transport {
  /** One request, without retries; settles within the time limit, and never rejects. */
  send(body: Buffer): Promise<Answer>
  close(): void
}

// A wrong clock, or a typing error, must not silence a program for days.
const longestRetryAfterMs = 3_600_000

export const contentTypes = {
  'http/protobuf': 'application/x-protobuf',
  'http/json': 'application/json',
} as const

/** OTLP over HTTP. */
export function createTransport(settings: Settings): Transport {
  const agent = createAgent(settings.logsUrl, settings.tls)
  const isSecure = settings.logsUrl.startsWith('https:')
  const headers: { [name: string]: string } = {
    'user-agent': `madsci-events-sdk/${version} OTel-OTLP-Exporter-JavaScript/${version}`,
    ...settings.headers,
    'content-type': contentTypes[settings.protocol],
  }
  if (settings.compression === 'gzip') headers['content-encoding'] = 'gzip'
  const timeoutMs = Math.min(settings.timeoutMs, settings.exportTimeoutMs)
  let isClosed = false

  function post(body: Buffer, isRepeated = false): Promise<Answer> {
    return new Promise((resolve) => {
      const call = (isSecure ? httpsRequest : httpRequest)(settings.logsUrl, {
        method: 'POST',
        agent,
        headers: { ...headers, 'content-length': body.length },
      })
      // A reply that drips would keep its connection busy for ever.
      const timer = setTimeout(() => {
        const error = new Error(`no answer for ${timeoutMs} ms`)
        call.destroy(error)
        // A call that is destroyed already tells nothing more.
        fail(error)
      }, timeoutMs)
      let isSettled = false
      let hasResponse = false
      const settle = (answer: Answer) => {
        if (isSettled) return
        isSettled = true
        clearTimeout(timer)
        resolve(answer)
      }
      const fail = (error: Error) => {
        // The other side had closed a connection that we kept: that says nothing about the endpoint.
        const isStale = call.reusedSocket && (error as { code?: string }).code === 'ECONNRESET'
        if (isStale && !isRepeated && !isClosed && !isSettled) {
          clearTimeout(timer)
          isSettled = true
          resolve(post(body, true))
        } else settle({ kind: 'none', error: readable(error) })
      }
      call.on('error', fail)
      call.on('response', (response) => {
        hasResponse = true
        read(response, settle, fail)
      })
      // Of an answer that switches protocols, Node tells nothing else.
      call.on('close', () => {
        if (!hasResponse) fail(new Error('the connection was closed without an answer'))
      })
      call.end(body)
    })
  }

  return {
    async send(body) {
      if (isClosed) return { kind: 'none', error: new Error('the client is closed') }
      return post(settings.compression === 'gzip' ? ((await compress(body)) as Buffer) : body)
    },
    close() {
      isClosed = true
      agent.destroy()
    },
  }
}

function read(
  response: IncomingMessage,
  settle: (answer: Answer) => void,
  fail: (error: Error) => void,
): void {
  const { statusCode: status = 0, headers } = response
  const answer = {
    kind: 'answer' as const,
    status,
    contentType: headers['content-type'],
    retryAfterMs: parseRetryAfter(headers['retry-after'], Date.now(), longestRetryAfterMs),
  }
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= maxReplyBytes) return void chunks.push(chunk)
    settle({ ...answer, body: undefined })
    response.destroy()
  })
  response.on('error', fail)
  response.on('end', () => settle({ ...answer, body: Buffer.concat(chunks) }))
}

// A refused connection to a name with two addresses is an AggregateError without a message.
function readable(error: Error): Error {
  const { code } = error as { code?: unknown }
  return error.message ? error : Object.assign(new Error(`${code}`, { cause: error }), { code })
}
