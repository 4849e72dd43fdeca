import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { StoredEvent } from '../store/event-store.ts'

export interface SendEventsOptions {
  /** What an event is shown as; its stored JSON if not given. */
  toText?: (event: StoredEvent) => string
}

/** Characters of an answer that lie between us and a socket whose client does not read, at most about twice as many. */
const pieceCharacters = 64 * 1024
/** An answer of more is streamed. */
const wholeCharacters = 256 * 1024

/**
 * Answers MADSci's object of events, keyed by id, in the order of the store. Written by hand, because an object of
 * JavaScript would move integer-like ids to the front, and streamed, because nothing bounds the number of events. A chunk
 * is asked for when the one before has been written, so that the store knows what is not read.
 * Throws what the store throws before the first event; later trouble cuts the connection, so that no one takes a part for the whole.
 */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<StoredEvent[]>,
  { toText = (event) => event.json }: SendEventsOptions = {},
): Promise<FastifyReply> {
  const chunks = events[Symbol.asyncIterator]()
  const encode = (chunk: StoredEvent[]) =>
    chunk.map((event) => `${JSON.stringify(event.id)}:${toText(event)}`).join(',')
  reply.header('content-type', 'application/json')
  try {
    const first = await chunks.next()
    if (first.done) return reply.send('{}')
    const head = `{${encode(first.value)}`
    let second: IteratorResult<StoredEvent[]> | undefined
    if (head.length <= wholeCharacters) {
      second = await chunks.next()
      if (second.done) return reply.send(`${head}}`)
    }

    const rest = async function* () {
      let comma = first.value.length > 0 ? ',' : ''
      try {
        if (head.length <= pieceCharacters) yield head
        else yield* piecesOf(head)
        for (let next = second ?? (await chunks.next()); !next.done; next = await chunks.next()) {
          if (next.value.length === 0) continue
          const text = comma + encode(next.value)
          if (text.length <= pieceCharacters) yield text
          else yield* piecesOf(text)
          comma = ','
          // Small requests come in between.
          await setImmediate()
        }
        yield '}'
      } finally {
        await chunks.return?.()
      }
    }
    return reply.send(toStream(rest()))
  } catch (error) {
    await chunks.return?.()
    throw error
  }
}

export const sendJson = (reply: FastifyReply, answer: unknown): FastifyReply =>
  reply.header('content-type', 'application/json').send(JSON.stringify(answer))

/** Every long text leaves in pieces, as fast as it is read. */
export function registerPieces(app: FastifyInstance): void {
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (typeof payload !== 'string' || payload.length <= wholeCharacters) return done()
    reply.header('content-length', Buffer.byteLength(payload))
    done(null, toStream(piecesOf(payload)))
  })
}

export function toStream(pieces: Iterable<string> | AsyncIterable<string>): Readable {
  return Readable.from(pieces, { objectMode: false, highWaterMark: pieceCharacters })
}

export function* piecesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    let to = from + pieceCharacters
    // Both halves of a surrogate pair go together.
    if (to < text.length && (text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to--
    yield text.slice(from, to)
    from = to
  }
}
