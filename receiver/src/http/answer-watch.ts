import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Attempt } from '../ingest/attempt.ts'

/** Tells an attempt when its answer is lost. */
export type WatchAnswer = (response: ServerResponse, attempt: Attempt) => void

/**
 * An answer is lost when it is no success, was not handed to the socket whole, went to a client that had ended its side
 * (one that timed out does), or when the connection breaks before its next request.
 */
export function createAnswerWatch(server: Server): WatchAnswer {
  /** By connection, the one whose answer was handed over last. */
  const handedOver = new WeakMap<Socket, Attempt>()
  const watched = new WeakSet<Socket>()
  server.on('request', ({ socket }) => void handedOver.delete(socket))

  return (response, attempt) => {
    const socket = response.socket
    if (!socket) return attempt.lose()
    response.once('close', () => {
      if (response.statusCode !== 200 || !response.writableFinished || socket.readableEnded)
        return attempt.lose()
      handedOver.set(socket, attempt)
    })
    if (watched.has(socket)) return
    watched.add(socket)
    socket.once('close', (isBroken) => {
      if (isBroken) handedOver.get(socket)?.lose()
    })
  }
}
