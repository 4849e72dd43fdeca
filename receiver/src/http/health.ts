import { EventError } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Alerts } from '../alert/alerts.ts'
import type { BackupHealth } from '../backup/backup.ts'
import type { Ingest } from '../ingest/ingest.ts'
import type { EventStore } from '../store/event-store.ts'
import { sendJson } from './answer.ts'
import { schemas } from './schema.ts'

export interface HealthDoorOptions {
  ingest: Pick<Ingest, 'isClosing'>
  store: EventStore
  /** Undefined: no alerts are raised. */
  alerts: Alerts | undefined
  version: string
  /** How each destination of the fan-out does; undefined without fan-out. */
  fanoutHealth: (() => object[]) | undefined
  /** How the last canary did; undefined where none is sent. */
  canaryHealth: (() => object | undefined) | undefined
  /** Undefined where no backups are made by schedule. */
  backupHealth: (() => BackupHealth) | undefined
  /** What is not accounted for of the events that were received; undefined when nothing is missing. */
  conservationHealth: () => object | undefined
  /** MADSci's OpenTelemetry settings; undefined while otel_enabled is false. */
  otel: { isRunning: () => boolean; exporter: string; endpoint: string | undefined } | undefined
}

/**
 * GET /health, in MADSci's shape: always 200, within two seconds also without a database. For programs that start and
 * balance receivers: /health/live (200 while the process runs) and /health/ready (200 while it takes events, else 503).
 */
export function registerHealth(app: FastifyInstance, options: HealthDoorOptions): void {
  const {
    ingest,
    store,
    alerts,
    version,
    fanoutHealth,
    conservationHealth,
    canaryHealth,
    backupHealth,
    otel,
  } = options
  app.get('/health', { schema: schemas.getHealth }, async (_request, reply) => {
    const { connected, totalEvents, reason, damage } = await store.health()
    const conservation = conservationHealth()
    const canary = canaryHealth?.()
    const health = {
      healthy: connected && damage === undefined,
      description: connected
        ? (damage ?? 'Event Manager is running normally')
        : `Database connection failed: ${reason ?? 'unknown reason'}`,
      version,
      db_connected: connected,
      total_events: totalEvents,
      otel_enabled: otel?.isRunning() ?? null,
      otel_exporter_type: otel?.exporter ?? null,
      otel_endpoint: otel?.endpoint ?? null,
      ...(conservation && { conservation }),
      ...(canary && { canary }),
      ...(backupHealth && { backup: backupHealth() }),
      ...(fanoutHealth && { fanout: fanoutHealth() }),
      ...(alerts && connected && { alerts: await alerts.health().catch(() => null) }),
    }
    return sendJson(reply, health)
  })

  app.get('/health/live', { schema: schemas.getLive }, async (_request, reply) =>
    reply.header('content-type', 'application/json').send('{"live":true}'),
  )

  app.get('/health/ready', { schema: schemas.getReady }, async (_request, reply) => {
    if (ingest.isClosing) throw new EventError('EVT_CLOSING')
    const { connected, reason } = await store.health()
    if (!connected) throw new EventError('EVT_STORE_UNAVAILABLE', reason ?? 'The store does not answer')
    return reply.header('content-type', 'application/json').send('{"ready":true}')
  })
}
