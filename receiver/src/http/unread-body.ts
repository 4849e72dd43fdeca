import type { FastifyReply, FastifyRequest } from 'fastify'

/** How long the rest of a refused body is read and thrown away. */
const lingerMs = 5000

/**
 * Ends the connection after an answer that goes out before the body has come whole, and so that the answer arrives: a
 * socket that is closed on unread bytes resets the connection, and a client that is still writing loses what it was told.
 *
 *     answer ▶ end of our side ▶ the rest is read and dropped, at most 5 s ▶ close
 *
 * Does nothing to a body that was read to its end. Source: RFC 9112, section 9.6 (closing in stages).
 */
export function lingerOnUnreadBody(request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = request
  if (raw.readableEnded) return
  reply.header('connection', 'close')
  const { socket } = raw
  const close = socket.destroySoon
  // node:http calls this when the answer is written, and for the last answer of a connection alone.
  socket.destroySoon = () => {
    socket.destroySoon = close
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(timer))
    socket.end()
    if (raw.readableEnded) socket.destroySoon()
    else raw.once('end', () => socket.destroySoon())
  }
  raw.resume()
}
