import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import type { StoredEvent } from '../store/event-store.ts'

export interface SendEventsOptions {
  /** What an event is shown as; its stored JSON if not given. */
  toText?: (event: StoredEvent) => string
}

/**
 * Answers MADSci's object of events, keyed by id, in the order of the store. Written by hand, because an object of
 * JavaScript would move integer-like ids to the front, and streamed, because nothing bounds the number of events.
 * Throws what the store throws before the first event; later trouble cuts the connection, so that no one takes a part for the whole.
 */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<StoredEvent[]> | Iterable<StoredEvent[]>,
  { toText = (event) => event.json }: SendEventsOptions = {},
): Promise<FastifyReply> {
  const chunks = (Symbol.asyncIterator in events ? events : Readable.from(events))[Symbol.asyncIterator]()
  const encode = (chunk: StoredEvent[]) =>
    chunk.map((event) => `${JSON.stringify(event.id)}:${toText(event)}`).join(',')
  reply.header('content-type', 'application/json')
  try {
    const first = await chunks.next()
    if (first.done) return reply.send('{}')
    const head = `{${encode(first.value)}`
    const second = await chunks.next()
    if (second.done) return reply.send(`${head}}`)

    const rest = async function* () {
      let comma = first.value.length > 0 ? ',' : ''
      try {
        yield head
        for (let next: IteratorResult<StoredEvent[]> = second; !next.done; next = await chunks.next()) {
          if (next.value.length === 0) continue
          yield comma + encode(next.value)
          comma = ','
          // Small requests come in between.
          await setImmediate()
        }
        yield '}'
      } finally {
        await chunks.return?.()
      }
    }
    return reply.send(Readable.from(rest(), { objectMode: false, highWaterMark: 1 << 18 }))
  } catch (error) {
    await chunks.return?.()
    throw error
  }
}
