import type { FastifyInstance } from 'fastify'
import type { Metric } from '../metric.ts'
import { metricFormOf, metricTypes, toMetricText } from '../metric-text.ts'
import { columnPhases } from '../store/column/state.ts'
import type { EventStore, StoreHealth } from '../store/event-store.ts'
import { schemas } from './schema.ts'

export interface MetricsDoorOptions {
  store: EventStore
  metric: Metric
  version: string
}

/** GET /metrics, for Prometheus: text format 0.0.4, or OpenMetrics for whom asks. */
export function registerMetrics(app: FastifyInstance, { store, metric, version }: MetricsDoorOptions): void {
  let health: StoreHealth | undefined
  metric.gauge('build_info', () => 1, version)
  metric.gauge('store_up', () => health && Number(health.connected))
  metric.gauge('store_events', () => health?.totalEvents ?? undefined)

  const { columnState } = store
  if (columnState) {
    for (const phase of columnPhases)
      metric.gauge('summary_columns', () => Number(columnState().phase === phase), phase)
    metric.gauge('summary_columns_events', () => columnState().events)
    metric.gauge('summary_columns_bytes', () => columnState().bytes)
    metric.gauge('summary_columns_complete_since', () => {
      const sinceMs = columnState().completeSinceMs
      return sinceMs === undefined ? undefined : Math.max(0, sinceMs / 1000)
    })
  }

  let isClosed = false
  app.addHook('onClose', async () => {
    isClosed = true
  })
  metric.onRead(async () => {
    if (!isClosed) health = await store.health()
  })

  app.get('/metrics', { schema: schemas.getMetrics }, async (request, reply) => {
    await metric.refresh()
    const form = metricFormOf(request.headers.accept)
    return reply.header('content-type', metricTypes[form]).send(toMetricText(metric, form))
  })
}

/** Notes how long each request takes, by its route. */
export function observeRequests(app: FastifyInstance, metric: Metric): void {
  const labelOf = new Map<string, string>()
  app.addHook('onResponse', (request, reply, done) => {
    // A stream lasts as long as its reader likes: that says nothing of us.
    const { url } = request.routeOptions
    if (url !== '/events/stream') {
      const key = url === undefined ? 'none' : `${request.method} ${url}`
      let label = labelOf.get(key)
      if (label === undefined) {
        label = key.replace(/:(\w+)/g, '{$1}')
        labelOf.set(key, label)
      }
      metric.observe('request_duration_seconds', reply.elapsedTime / 1000, label)
    }
    done()
  })
}
