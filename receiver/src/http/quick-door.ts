import { type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Ticket } from '../ingest/gate.ts'
import { parseSimpleHead, type SimpleHead } from './simple-request.ts'

/** An answer in JSON. */
export interface QuickAnswer {
  status: number
  /** Beside the content type and length. */
  headers?: { [name: string]: string }
  body: string
}

export interface QuickDoorOptions {
  /** The one path that is served here. */
  path: string
  /** Larger bodies are not. */
  maxBodyBytes: number
  /** Connections without a request for so long are ended; a request must arrive whole in `requestTimeoutMs` (0 = no limit). */
  keepAliveMs: number
  requestTimeoutMs: number
  /** A request that names another host is the server's to refuse. */
  isAllowedHost: (host: string) => boolean
  /** Requests of a proxy are the server's, which asks whose they are. */
  isProxy: (address: string) => boolean
  /** Asked before a body is waited for. */
  enter: (bodyBytes: number, address: string) => Ticket
  /** Never rejects. */
  answer: (body: Buffer, head: Pick<SimpleHead, 'contentType' | 'traceparent'>) => Promise<QuickAnswer>
}

export interface QuickDoor {
  /** Ends the connections that have no request under way. */
  closeIdle(): void
  /** Ends the connections whose request has not come whole. */
  closeArriving(): void
  isAnswering(socket: Socket): boolean
  /** Ends every connection. */
  destroy(): void
}

const headEnd = '\r\n\r\n'
const latePartMs = 2000
const maxHeads = 500
// Node's own limit is twice that.
const maxHeadBytes = 8192

/**
 * Serves plain POSTs to one path without node:http and fastify, which cost three times as much as taking an event. A
 * connection belongs to this door as long as its requests are plain, and then to the server, for good:
 *
 *     bytes ─▶ plain POST to the path, whole or with its body under way ─▶ answer ─┐
 *       ▲         │ no: any other method, path, header, length, pipelining         │
 *       │         └─▶ node:http, from the first byte of this request on            │
 *       └──────────────────────────────────────────────────────────────────────────┘
 *
 * Promises (each has a test of the same name):
 *  1. What is answered here is answered as the server would.
 *  2. Whatever is not plain, the server sees whole, in order, and nothing before it.
 *  3. A body is waited for only after the gate has let it in.
 */
export function openQuickDoor(server: Server, options: QuickDoorOptions): QuickDoor {
  const { path, maxBodyBytes, keepAliveMs, requestTimeoutMs, isAllowedHost, isProxy, enter, answer } = options
  const [serve] = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  server.removeAllListeners('connection')
  const connections = new Map<Socket, Connection>()
  const tail = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`
  // Clients send the same head again and again, but for the length.
  const heads = new Map<string, SimpleHead | undefined>()

  function headOf(text: string): SimpleHead | undefined {
    if (heads.has(text)) return heads.get(text)
    const head = parseSimpleHead(text)
    const isOurs =
      head !== undefined && head.path === path && head.bodyBytes <= maxBodyBytes && isAllowedHost(head.host)
    if (heads.size >= maxHeads) heads.clear()
    if (text.length <= 1000) heads.set(text, isOurs ? head : undefined)
    return isOurs ? head : undefined
  }

  server.on('connection', (socket: Socket) => {
    if (isProxy(socket.remoteAddress ?? '')) return serve!.call(server, socket)
    const connection: Connection = { socket, state: 'idle', bytes: undefined }
    let head: SimpleHead | undefined
    let bodyStart = 0
    let ticket: Ticket | undefined
    let counted = 0
    let isLate = false
    connections.set(socket, connection)

    function take(chunk: Buffer): void {
      const { state, bytes } = connection
      connection.bytes = bytes ? Buffer.concat([bytes, chunk]) : chunk
      // One request at a time; what comes before its answer is for the server to sort out.
      if (state === 'answering') socket.pause()
      else if (state === 'idle') begin(connection.bytes)
      else proceed(connection.bytes)
    }

    function begin(bytes: Buffer): void {
      const end = bytes.indexOf(headEnd)
      head = end < 0 || end > maxHeadBytes ? undefined : headOf(bytes.toString('latin1', 0, end + 2))
      bodyStart = end + headEnd.length
      if (head && tryEnter(head.bodyBytes)) {
        connection.state = 'reading'
        proceed(bytes)
      } else handOver()
    }

    function tryEnter(bodyBytes: number): boolean {
      try {
        ticket = enter(bodyBytes, socket.remoteAddress ?? '')
        counted = 0
        return true
      } catch {
        // The server asks the gate again, and knows how to say no.
        return false
      }
    }

    /** Of the body, so many bytes have come. */
    function tryGrow(bodyBytes: number): boolean {
      try {
        ticket!.grow(bodyBytes - counted)
        counted = bodyBytes
        return true
      } catch {
        return false
      }
    }

    function proceed(bytes: Buffer): void {
      const missing = bodyStart + head!.bodyBytes - bytes.length
      if (missing >= 0 && !tryGrow(bytes.length - bodyStart)) handOver()
      else if (missing === 0) {
        if (isLate) socket.setTimeout(keepAliveMs)
        isLate = false
        connection.state = 'answering'
        connection.bytes = undefined
        void answer(bytes.subarray(bodyStart), head!).then(reply)
      } else if (missing > 0 && !isLate) {
        // Many clients send head and body apart. A third part, and time limits to the millisecond, are for the server.
        isLate = true
        socket.setTimeout(Math.min(requestTimeoutMs || latePartMs, latePartMs))
      } else handOver()
    }

    function reply({ status, headers, body }: QuickAnswer): void {
      release()
      if (socket.destroyed) return
      let text = status === 200 ? `HTTP/1.1 200 OK\r\n` : `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`
      text += `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
      if (headers) for (const name in headers) text += `${name}: ${headers[name]}\r\n`
      const isFlushed = socket.write(`${text}Date: ${nowText()}\r\n${tail}${body}`)
      connection.state = 'idle'
      if (socket.readableEnded) socket.end()
      else if (connection.bytes) handOver()
      else if (!isFlushed) socket.pause().once('drain', () => socket.resume())
    }

    function release(): void {
      ticket?.release()
      ticket = undefined
    }

    function handOver(): void {
      release()
      connections.delete(socket)
      socket.off('data', take).off('end', onEnd).off('close', onClose).off('error', onError)
      socket.off('timeout', onTimeout).setTimeout(0)
      socket.pause()
      const { bytes } = connection
      connection.bytes = undefined
      if (bytes) socket.unshift(bytes)
      serve!.call(server, socket)
      // The server reads what was put back only after its own listeners are set.
      process.nextTick(() => socket.resume())
    }

    const onEnd = () => {
      // Writes what is not written yet; during an answer, that one ends it.
      if (connection.state !== 'answering') socket.end()
    }
    const onClose = () => {
      release()
      connections.delete(socket)
    }
    const onTimeout = () => {
      // The server watches how fast a body comes.
      if (connection.state === 'reading') handOver()
      else if (connection.state === 'idle') socket.destroySoon()
    }
    // What breaks a connection closes it as well.
    const onError = () => {}
    socket.on('data', take).on('end', onEnd).on('close', onClose).on('error', onError)
    socket.setTimeout(keepAliveMs, onTimeout)
  })

  return {
    closeIdle() {
      for (const { socket, state } of connections.values()) if (state === 'idle') socket.destroySoon()
    },
    closeArriving() {
      for (const { socket, state } of connections.values()) if (state === 'reading') socket.destroy()
    },
    isAnswering: (socket) => connections.get(socket)?.state === 'answering',
    destroy() {
      for (const socket of connections.keys()) socket.destroy()
    },
  }
}

interface Connection {
  socket: Socket
  state: 'idle' | 'reading' | 'answering'
  /** Of the request that is arriving, or of what came before the answer. */
  bytes: Buffer | undefined
}

let dateText = ''
let dateSecond = 0

function nowText(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(second * 1000).toUTCString()
  }
  return dateText
}
