import type { FastifyInstance } from 'fastify'
import type { Finding } from '../finding.ts'
import type { EventStore } from '../store/event-store.ts'
import { readLast } from './lab.ts'
import type { OpsAnswer } from './ops-answer.ts'

export interface OpsDoorOptions {
  store: EventStore
  /** Given event_timestamp of the newest event. */
  examine: (newest: string | undefined) => Promise<Finding[]>
}

// Every open page asks every few seconds; they share an answer.
const sharedMs = 2000

/** GET /data/ops: the size of the store and what doctor says, for the page of the operation. */
export function registerOps(app: FastifyInstance, { store, examine }: OpsDoorOptions): void {
  let shared: { untilMs: number; text: Promise<string> } | undefined
  app.get('/data/ops', { schema: { hide: true } }, async (_request, reply) => {
    if (!shared || performance.now() > shared.untilMs)
      shared = { untilMs: performance.now() + sharedMs, text: read() }
    return reply.header('content-type', 'application/json').send(await shared.text)
  })

  async function read(): Promise<string> {
    const [{ totalEvents }, bytes, last] = await Promise.all([
      store.health(),
      store.size().catch(() => null),
      readLast(store).catch(() => null),
    ])
    const findings = await examine(last?.timestamp)
    const answer: OpsAnswer = { store: { kind: store.kind, bytes, total_events: totalEvents }, findings }
    return JSON.stringify(answer)
  }
}
