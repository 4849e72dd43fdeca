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
    find: (query, options) =>
      asStreamStep(
        (rows) => ['query', { ...database, 'db.operation.name': 'find', 'db.response.returned_rows': rows }],
        (chunk) => chunk.length,
        store.find(query, options),
      ),
    summarize: (query, summary, options) =>
      asStreamStep(
        () => ['summary', { ...database, 'db.operation.name': 'summarize' }],
        () => 1,
        store.summarize(query, summary, options),
      ),
  }
}

/** What is read is a step of the request that is served now, from its first piece to its last. */
async function* asStreamStep<Piece>(
  describe: (count: number) => [name: string, attributes: Attributes],
  countOf: (piece: Piece) => number,
  pieces: AsyncIterable<Piece>,
): AsyncGenerator<Piece> {
  const span = spanOfNow()
  const startedMs = performance.now()
  let count = 0
  let failure: { error: unknown } | undefined
  try {
    for await (const piece of pieces) {
      count += countOf(piece)
      yield piece
    }
  } catch (error) {
    failure = { error }
    throw error
  } finally {
    const [name, attributes] = describe(count)
    span?.step(name, startedMs, { attributes, ...failure })
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
