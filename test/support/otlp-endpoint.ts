import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { gunzipSync } from 'node:zlib'
import type { Event } from '@madsci-events/sdk/event'
import { decodeJson } from '../../receiver/src/otlp/json.ts'
import { decodeProtobuf } from '../../receiver/src/otlp/protobuf.ts'

/** What the endpoint does with a request. */
export interface Reply {
  /** 200 if not given; `cut` closes the connection without a reply, `hang` never replies. */
  status?: number | 'cut' | 'hang'
  headers?: { [name: string]: string }
  body?: string | Uint8Array
  delayMs?: number
  /** Whether its events count as taken; by default those of a 2xx do. */
  takes?: boolean
}

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  /** As it came, uncompressed. */
  body: Buffer
  events: Event[]
  atMs: number
}

export interface OtlpEndpoint {
  readonly url: string
  readonly port: number
  readonly requests: Received[]
  /** The events of the requests that it took. */
  readonly events: Event[]
  /** The most requests that it had at a time. */
  readonly mostAtOnce: number
  /** Taken for the next requests, one each, before `reply`. */
  readonly script: Reply[]
  /** What every other request gets. */
  reply: (request: Received) => Reply
  close(): Promise<void>
}

export interface OtlpEndpointOptions {
  port?: number
  /** Makes it https. */
  tls?: { key: Buffer | string; cert: Buffer | string; ca?: Buffer | string; requestCert?: boolean }
}

/** An OTLP/HTTP endpoint on a real socket that can be slow, fail, fail partly, or say nothing. */
export async function startOtlpEndpoint(options: OtlpEndpointOptions = {}): Promise<OtlpEndpoint> {
  const requests: Received[] = []
  const events: Event[] = []
  const script: Reply[] = []
  let open = 0
  let mostAtOnce = 0
  const answer = async (request: IncomingMessage, response: import('node:http').ServerResponse) => {
    open++
    mostAtOnce = Math.max(mostAtOnce, open)
    response.once('close', () => {
      open--
    })
    const received = await receive(request)
    requests.push(received)
    const reply = script.shift() ?? endpoint.reply(received)
    const { status = 200, headers = {}, body = '', delayMs = 0 } = reply
    if (reply.takes ?? (typeof status === 'number' && status < 300)) events.push(...received.events)
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
    if (status === 'cut') request.socket.destroy()
    else if (status !== 'hang') {
      response
        .writeHead(status, {
          'content-type': received.headers['content-type'] ?? 'application/json',
          ...headers,
        })
        .end(body)
    }
  }
  const listener = (request: IncomingMessage, response: import('node:http').ServerResponse) => {
    answer(request, response).catch((error) => response.destroy(error))
  }
  const server: Server = options.tls ? createSecureServer(options.tls, listener) : createServer(listener)
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const endpoint: OtlpEndpoint = {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    requests,
    events,
    script,
    reply: () => ({}),
    get mostAtOnce() {
      return mostAtOnce
    },
    async close() {
      server.closeAllConnections()
      if (server.listening) {
        server.close()
        await once(server, 'close')
      }
    },
  }
  return endpoint
}

async function receive(request: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const raw = Buffer.concat(chunks)
  const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
  const options = { receivedUnixNano: 1n, maxBodyBytes: 64 << 20 }
  const type = request.headers['content-type']
  const decode =
    type === 'application/x-protobuf' && !/v1\/(traces|metrics)$/.test(request.url ?? '')
      ? decodeProtobuf
      : type === 'application/json' && request.url?.endsWith('/v1/logs')
        ? decodeJson
        : undefined
  const events = decode ? decode(body, options).events : []
  return { path: request.url ?? '', headers: request.headers, body, events, atMs: performance.now() }
}

/** The body that says that some records were refused; for the encoding of `request`. */
export function partialSuccess(request: Received, rejected: number, message: string): Uint8Array {
  if (request.headers['content-type'] === 'application/json') {
    const partial = { rejectedLogRecords: String(rejected), errorMessage: message }
    return Buffer.from(JSON.stringify({ partialSuccess: partial }))
  }
  const text = Buffer.from(message)
  const partial = Buffer.concat([Buffer.from([0x08, rejected, 0x12, text.length]), text])
  return Buffer.concat([Buffer.from([0x0a, partial.length]), partial])
}
