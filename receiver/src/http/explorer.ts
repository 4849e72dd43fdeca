import { EventError, fromTimestamp } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { EventStore } from '../store/event-store.ts'
import { schemas } from './schema.ts'

export interface ExplorerDoorOptions {
  /** Address of the page that shows one event, `{event_id}` in it; undefined when there is none. */
  explorerUrl: string | undefined
  store: Pick<EventStore, 'get'>
}

/** Neighbours on either side, in ms. */
const aroundMs = 5 * 60_000

/** GET /event/{event_id}/logs: on to the page of Grafana that shows this event among its neighbours, however old it is. */
export function registerExplorer(app: FastifyInstance, { explorerUrl, store }: ExplorerDoorOptions): void {
  app.get('/event/:event_id/logs', { schema: schemas.getEventLogs }, async (request, reply) => {
    const { event_id } = request.params as { event_id: string }
    if (explorerUrl === undefined) {
      throw new EventError('EVT_NOT_FOUND', 'No page shows events: set explorer_url', {
        detail: 'No page shows events: set explorer_url',
      })
    }
    const place = explorerUrl.replaceAll('{event_id}', encodeURIComponent(event_id))
    if (!/\{(from|to)\}/.test(place)) return reply.redirect(place, 302)
    const atMs = (await timeOf(store, event_id)) ?? Date.now()
    return reply.redirect(
      place.replaceAll('{from}', `${atMs - aroundMs}`).replaceAll('{to}', `${atMs + aroundMs}`),
      302,
    )
  })
}

/** When the event was, ms since 1970; undefined for one that is not stored. */
async function timeOf(store: Pick<EventStore, 'get'>, id: string): Promise<number | undefined> {
  const event = await store.get(id).catch(() => undefined)
  if (event === undefined) return undefined
  const { event_timestamp: time } = JSON.parse(event.json) as { event_timestamp?: unknown }
  const nano = typeof time === 'string' ? fromTimestamp(time) : undefined
  return nano === undefined ? undefined : Number(nano / 1_000_000n)
}
