import { invalid, isObject, maxIdCharacters, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Ingest } from '../ingest/ingest.ts'
import type { EventStore } from '../store/event-store.ts'
import { withBody } from './body.ts'
import { schemas } from './schema.ts'

export interface ReceiptDoorOptions {
  ingest: Ingest
  store: EventStore
  maxBodyBytes: number
}

const maxIds = 10_000

/** POST /events/receipts: which of these events are stored, and where they lie in the order of commit. */
export function registerReceipts(app: FastifyInstance, options: ReceiptDoorOptions): void {
  app.post('/events/receipts', { schema: schemas.receipts }, (request, reply) =>
    withBody(request, options, async (body) => {
      const ids = [...new Set(parseIds(body))]
      // Longer ones are never stored, and together they could be more than a database takes.
      const possible = ids.filter((id) => id.length <= maxIdCharacters && id.isWellFormed())
      const found = await options.store.locate(possible)
      // Written by hand: an object would move integer-like ids to the front.
      const stored = ids
        .filter((id) => found.has(id))
        .map((id) => `${JSON.stringify(id)}:{"commit":${JSON.stringify(found.get(id) || null)}}`)
      const absent = JSON.stringify(ids.filter((id) => !found.has(id)))
      return reply
        .header('content-type', 'application/json')
        .send(`{"stored":{${stored.join(',')}},"missing":${absent}}`)
    }),
  )
}

function parseIds(body: Value): string[] {
  const ids = isObject(body) ? body.event_ids : undefined
  if (Array.isArray(ids) && ids.length <= maxIds && ids.every((id) => typeof id === 'string'))
    return ids as string[]
  const msg = `Input should be a list of at most ${maxIds} strings`
  throw invalid([{ type: 'list_type', loc: ['body', 'event_ids'], msg, input: null }])
}
