import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** Requests of one connection that wait for their turn; a sender of more is not read until some were answered. */
const maxWaiting = 100
/** Beyond that the connection is ended; one packet may bring more than a thousand. */
const mostWaiting = 5000

export interface TakeTurnsOptions {
  /** A connection is ended for the requests that wait on it. */
  onEnd: () => void
}

/**
 * One request of a connection at a time. A client may send the next ones before it has its answer (RFC 9112, 9.3.2), some
 * hundred in one packet, and node:http gives them all in one turn of the event loop; the requests of all others then waited
 * for that. Answers come in the order of the requests anyway, so nothing is slower for the one who sends them.
 *
 * Call it before other listeners for requests are added: those see each request when it arrives, not when its turn comes.
 */
export function takeTurns(server: Server, { onEnd }: TakeTurnsOptions): void {
  const [handle] = server.listeners('request') as Handle[]
  server.removeListener('request', handle!)
  const waiting = new WeakMap<Socket, (() => void)[]>()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    const queue = waiting.get(socket)
    const begin = () => {
      response.once('close', () => next(socket))
      handle!.call(server, request, response)
    }
    if (queue) {
      queue.push(begin)
      if (queue.length === mostWaiting) {
        onEnd()
        socket.destroy()
      } else if (queue.length >= maxWaiting) process.nextTick(pause, socket)
      return
    }
    waiting.set(socket, [])
    begin()
  })

  // When the packet under way is done: node:http reads on with each request that it has whole.
  function pause(socket: Socket): void {
    if ((waiting.get(socket)?.length ?? 0) >= maxWaiting) socket.pause()
  }

  function next(socket: Socket): void {
    const queue = waiting.get(socket)!
    const begin = queue.shift()
    if (!begin || socket.destroyed) {
      waiting.delete(socket)
      return
    }
    if (queue.length === maxWaiting - 1) socket.resume()
    setImmediate(begin)
  }
}
