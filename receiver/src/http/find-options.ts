import type { FastifyReply, FastifyRequest } from 'fastify'
import { toClient } from '../client.ts'
import type { FindOptions } from '../store/event-store.ts'

/** For whom a query is: clients have fair turns by address, and a query ends when the connection of its request does. */
export function findOptionsOf(
  request: FastifyRequest,
  reply: FastifyReply,
): FindOptions & { client: string } {
  const gone = new AbortController()
  const { raw } = reply
  raw.on('close', () => {
    if (!raw.writableFinished) gone.abort()
  })
  return { client: toClient(request.ip), signal: gone.signal }
}
