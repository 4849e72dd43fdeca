import { EventError } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { schemas } from './schema.ts'

export interface ExplorerDoorOptions {
  /** Address of the page that shows one event, `{event_id}` in it; undefined when there is none. */
  explorerUrl: string | undefined
}

/** GET /event/{event_id}/logs: on to the page of Grafana that shows this event among its neighbours. */
export function registerExplorer(app: FastifyInstance, { explorerUrl }: ExplorerDoorOptions): void {
  app.get('/event/:event_id/logs', { schema: schemas.getEventLogs }, async (request, reply) => {
    const { event_id } = request.params as { event_id: string }
    if (explorerUrl === undefined) {
      throw new EventError('EVT_NOT_FOUND', 'No page shows events: set explorer_url', {
        detail: 'No page shows events: set explorer_url',
      })
    }
    return reply.redirect(explorerUrl.replaceAll('{event_id}', encodeURIComponent(event_id)), 302)
  })
}
