import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'

export interface UnreadAnswerOptions {
  metric: Metric
  log: Log
  writeTimeoutMs: number
}

interface Watched {
  /** Bytes that had left when we looked last. */
  sentBytes: number
  sinceMs: number
}

/** Closes connections whose client takes nothing of its answer for `writeTimeoutMs`. What a client asks for anew is its own. */
export function closeUnread(
  app: FastifyInstance,
  { metric, log, writeTimeoutMs }: UnreadAnswerOptions,
): void {
  const sockets = new Map<Socket, Watched>()
  const throttle = createThrottle()
  app.server.on('connection', (socket: Socket) => {
    sockets.set(socket, { sentBytes: 0, sinceMs: performance.now() })
    socket.once('close', () => sockets.delete(socket))
  })
  const watch = setInterval(look, Math.min(1000, writeTimeoutMs / 5)).unref()
  app.addHook('onClose', async () => clearInterval(watch))

  function look(): void {
    const nowMs = performance.now()
    for (const [socket, watched] of sockets) {
      const { writableLength } = socket
      const sentBytes = socket.bytesWritten - writableLength
      if (writableLength === 0 || sentBytes !== watched.sentBytes) {
        watched.sentBytes = sentBytes
        watched.sinceMs = nowMs
      } else if (nowMs - watched.sinceMs > writeTimeoutMs) drop(socket)
    }
  }

  function drop(socket: Socket): void {
    metric.add('answers_dropped', 1, 'unread')
    throttle('unread', (suppressed) =>
      log.warn(
        { address: socket.remoteAddress, suppressed },
        'a client did not read its answer within write_timeout_ms; its connection was closed',
      ),
    )
    socket.destroy()
  }
}
