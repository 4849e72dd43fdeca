import { once } from 'node:events'
import { createServer } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { decodeProtobuf } from '../../receiver/src/otlp/protobuf.ts'

/** A request that was taken: events that were forwarded, or a message about an alert. */
export interface Taken {
  ids: readonly string[]
  /** Which receiver sent it. */
  sender: number
  /** Of a message. */
  delivery: string
  /** When its first bytes came, and when it was answered. */
  fromMs: number
  atMs: number
  /** False: the connection was cut instead of an answer. */
  isAnswered: boolean
}

/** Takes what receivers forward and tell, and remembers it in the order in which it was taken. */
export interface ToldSink {
  readonly batches: readonly Taken[]
  readonly messages: readonly Taken[]
  /** Of receiver number `sender`. */
  logsUrl(sender: number): string
  hookUrl(sender: number): string
  close(): Promise<void>
}

/** Slow, now and then unwilling (503), and of every 23 batches one has no reply after it was taken. */
export async function startToldSink(): Promise<ToldSink> {
  const batches: Taken[] = []
  const messages: Taken[] = []
  let number = 0
  const server = createServer(async (request, response) => {
    const fromMs = performance.now()
    const [, kind, sender] = request.url!.split('/')
    const isLogs = kind === 'logs'
    try {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const raw = Buffer.concat(chunks)
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
      number++
      if (number % 17 === 0) return void response.writeHead(503, { 'retry-after': '0' }).end()
      const ids = isLogs
        ? decodeProtobuf(body, { receivedUnixNano: 1n, maxBodyBytes: 64 << 20 }).events.map(
            ({ event_id }) => event_id,
          )
        : (JSON.parse(body.toString()) as { event_ids: string[] }).event_ids
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
      const isAnswered = !isLogs || number % 23 !== 0
      const delivery = String(request.headers['x-madsci-delivery'])
      const taken = { ids, sender: Number(sender), delivery, fromMs, atMs: performance.now(), isAnswered }
      ;(isLogs ? batches : messages).push(taken)
      if (isAnswered) response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
      else request.socket.destroy()
    } catch {
      // The sender was killed meanwhile.
      request.socket.destroy()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    batches,
    messages,
    logsUrl: (sender) => `http://127.0.0.1:${port}/logs/${sender}/v1/logs`,
    hookUrl: (sender) => `http://127.0.0.1:${port}/hook/${sender}`,
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
