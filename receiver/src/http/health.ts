import type { FastifyInstance } from 'fastify'
import type { EventStore } from '../store/event-store.ts'
import { schemas } from './schema.ts'

export interface HealthDoorOptions {
  store: EventStore
  version: string
}

/** GET /health, in MADSci's shape: always 200, within two seconds also without a database. */
export function registerHealth(app: FastifyInstance, { store, version }: HealthDoorOptions): void {
  app.get('/health', { schema: schemas.getHealth }, async (_request, reply) => {
    const { connected, totalEvents, reason } = await store.health()
    const health = {
      healthy: connected,
      description: connected
        ? 'Event Manager is running normally'
        : `Database connection failed: ${reason ?? 'unknown reason'}`,
      version,
      db_connected: connected,
      total_events: totalEvents,
      otel_enabled: null,
      otel_exporter_type: null,
      otel_endpoint: null,
    }
    return reply.header('content-type', 'application/json').send(JSON.stringify(health))
  })
}
