import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/** What becomes of a request on its way to the receiver, or of the reply on its way back. */
export const troubles = [
  'pass',
  'delay',
  'cut-before',
  'cut-after', // the receiver has stored it, and nobody hears of it
  'half-reply',
  'hang', // half-open: the connection is there, and nothing comes
  'slow-loris',
  'too-large',
  'garbage', // 200 with a body that is none
  '429-seconds',
  '429-date',
  '502',
  '503-seconds',
  '503-date',
  '504',
  '400',
  '500',
] as const
export type Trouble = (typeof troubles)[number]

export interface TroubleProxy {
  readonly url: string
  /** How often each trouble was made. */
  readonly counts: Map<Trouble, number>
  /** Asked for each request. */
  next: () => Trouble
  close(): Promise<void>
}

/** Stands before a receiver and does to each request what `next` says. */
export async function startTroubleProxy(target: string): Promise<TroubleProxy> {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  const counts = new Map<Trouble, number>()

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const trouble = proxy.next()
    counts.set(trouble, (counts.get(trouble) ?? 0) + 1)
    const forward = async () => {
      const reply = await fetch(new URL(request.url!, target), {
        method: 'POST',
        body: new Uint8Array(Buffer.concat(chunks)),
        headers: { 'content-type': request.headers['content-type']! },
      })
      return { status: reply.status, body: Buffer.from(await reply.arrayBuffer()) }
    }
    const status = /^\d+/.exec(trouble)?.[0]
    if (status !== undefined) {
      if (trouble.endsWith('seconds')) response.setHeader('retry-after', '1')
      if (trouble.endsWith('date'))
        response.setHeader('retry-after', new Date(Date.now() + 1000).toUTCString())
      response.writeHead(Number(status)).end('trouble')
      return
    }
    switch (trouble) {
      case 'cut-before':
        request.socket.destroy()
        return
      case 'cut-after':
        await forward()
        request.socket.destroy()
        return
      case 'half-reply':
        await forward()
        response.writeHead(200, { 'content-length': '100' })
        response.write('half')
        setTimeout(() => request.socket.destroy(), 20)
        return
      case 'hang':
        return
      case 'slow-loris': {
        response.writeHead(200)
        const timer = setInterval(() => response.write(' '), 30)
        response.on('close', () => clearInterval(timer))
        return
      }
      case 'too-large':
        await forward()
        response.writeHead(200).end(Buffer.alloc(5 << 20))
        return
      case 'garbage':
        await forward()
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
        return
      default: {
        const reply = await forward()
        if (trouble === 'delay') await new Promise((resolve) => setTimeout(resolve, 150))
        response.writeHead(reply.status, { 'content-type': 'application/x-protobuf' }).end(reply.body)
      }
    }
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const proxy: TroubleProxy = {
    url: `http://127.0.0.1:${port}`,
    counts,
    next: () => 'pass',
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}
