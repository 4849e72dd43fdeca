import { toJson, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Alerts } from '../alert/alerts.ts'
import type { AlertRecord } from '../store/alert-store.ts'
import type { EventStore } from '../store/event-store.ts'
import { type PreviewRoom, toAlert } from './alert.ts'
import { createSaidReader, type SaidReader } from './lab-alert.ts'
import type { WatchAlert, WatchAnswer } from './watch-answer.ts'
import { createGroupNames } from './watch-name.ts'

export interface WatchDoorOptions {
  store: EventStore
  alerts: Alerts | undefined
  previews: PreviewRoom
  pageToken: (() => Promise<string>) | undefined
}

const openStates = ['firing', 'acknowledged', 'silenced'] as const
const maxOpen = 200
const maxResolved = 50

/** GET /data/watch: alerts for the page of them, and what a page needs to act. */
export function registerWatch(app: FastifyInstance, options: WatchDoorOptions): void {
  const { store, alerts, previews, pageToken } = options
  const readers = { namesOf: createGroupNames(store), readSaid: createSaidReader(store) }
  app.get('/data/watch', { schema: { hide: true } }, async (_request, reply) => {
    const answer: WatchAnswer = {
      now: new Date().toISOString(),
      is_set_up: alerts !== undefined,
      // While the database does not tell it, buttons are not there: they would change nothing.
      token: (await pageToken?.().catch(() => null)) ?? null,
      lines: Object.fromEntries(
        previews.ruleSet.rules.flatMap(({ name, selector }) =>
          selector ? [[name, toJson(selector.source as Value)]] : [],
        ),
      ),
      rules: previews.ruleSet.rules.map(({ name }) => name),
      alerts: alerts ? await readAlerts(alerts, readers) : [],
    }
    return reply.header('content-type', 'application/json').send(JSON.stringify(answer))
  })
}

async function readAlerts(
  { store }: Alerts,
  { namesOf, readSaid }: { namesOf: ReturnType<typeof createGroupNames>; readSaid: SaidReader },
): Promise<WatchAlert[]> {
  const found = await Promise.all(openStates.map((state) => store.find({ state, limit: maxOpen })))
  const newest = (a: AlertRecord, b: AlertRecord) => b.openedMs - a.openedMs
  const open = found.flat().sort(newest).slice(0, maxOpen)
  const records = [...open, ...(await store.find({ state: 'resolved', limit: maxResolved }))]
  const deliveries = await store.deliveriesOf(records.map(({ id }) => id))
  const shown = records.map((record) => toAlert(record, deliveries) as Omit<WatchAlert, 'names' | 'message'>)
  const names = await namesOf(shown.map(({ group }) => group))
  const messages: string[] = []
  for (const { last_event_id: id } of shown) messages.push(id ? (await readSaid(id)).message : '')
  return shown.map((alert, index) => ({ ...alert, names: names[index]!, message: messages[index]! }))
}
