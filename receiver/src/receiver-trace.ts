import type { Channel } from './alert/channel.ts'
import type { EventStore } from './store/event-store.ts'
import { type Attributes, asStep, spanOfNow, type Tracing } from './trace.ts'
import type { Utilization } from './utilization/thread.ts'

/** The names that the semantic conventions of databases give a store. */
export const databaseOf = ({ kind, scanSource }: Pick<EventStore, 'kind' | 'scanSource'>): Attributes => ({
  'db.system.name': kind,
  'db.collection.name': scanSource.kind === 'mongodb' ? scanSource.collectionName : 'events',
  ...(scanSource.kind === 'mongodb' && { 'db.namespace': scanSource.databaseName }),
})

/** The same store, whose queries are steps of the requests that ask. */
export function traceQueries(store: EventStore): EventStore {
  const database = databaseOf(store)
  return {
    ...store,
    get: (id) => asStep('get', { ...database, 'db.operation.name': 'get' }, () => store.get(id)),
    async *find(query, options) {
      const span = spanOfNow()
      if (!span) {
        yield* store.find(query, options)
        return
      }
      const startedMs = performance.now()
      let rows = 0
      let error: unknown
      try {
        for await (const chunk of store.find(query, options)) {
          rows += chunk.length
          yield chunk
        }
      } catch (thrown) {
        error = thrown
        throw thrown
      } finally {
        const attributes = { ...database, 'db.operation.name': 'find', 'db.response.returned_rows': rows }
        span.step('query', startedMs, { attributes, ...(error !== undefined && { error }) })
      }
    },
  }
}

/** The same reports, each a step of the request that asks, until its first piece. */
export const traceReports = (utilization: Utilization): Utilization => ({
  ...utilization,
  ask: (request) => asStep('report', { 'madsci.report': request.report }, () => utilization.ask(request)),
})

/** The same channels, whose deliveries are spans. */
export function traceChannels(
  channels: ReadonlyMap<string, Channel>,
  tracing: Tracing,
): Map<string, Channel> {
  const traced = [...channels].map(([name, channel]): [string, Channel] => [
    name,
    {
      name: channel.name,
      kind: channel.kind,
      targets: channel.targets,
      async send(message, target) {
        const span = tracing.begin(`alert ${name}`, {
          kind: 'client',
          attributes: { 'madsci.alert.rule': message.notice.rule, 'madsci.alert.channel.kind': channel.kind },
        })
        try {
          const outcome = await channel.send(message, target)
          span.end(outcome.kind === 'delivered' ? undefined : outcome.kind)
          return outcome
        } catch (error) {
          span.end(error)
          throw error
        }
      },
      close: () => channel.close(),
    },
  ])
  return new Map(traced)
}
