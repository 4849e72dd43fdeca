import { createEventId } from '@madsci-events/sdk/event'
import type { Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { EventStore } from '../store/event-store.ts'
import type { Tracing } from '../trace.ts'
import { createBatchThread } from './batch.ts'
import { createCheckpoint } from './checkpoint.ts'
import type { Destination } from './destination.ts'
import { type ForwarderHealth, startForwarder } from './forwarder.ts'

export interface FanoutOptions {
  store: EventStore
  destinations: readonly Destination[]
  /** `service.name` of events that came without a resource. */
  serviceName: string
  onCanary?: ((destination: string, id: string) => void) | undefined
  tracing?: Tracing | undefined
  metric: Metric
  log: Log
  /** After that long another receiver takes over from one that is silent. */
  leaseMs?: number
}

/** Stored events go on, as OTLP, to other places: see Forwarder for what is promised. */
export interface Fanout {
  /** Settles when each destination that is new has its checkpoint: what is committed later is forwarded. Never rejects. */
  readonly ready: Promise<void>
  /** Something was committed. */
  wake(isRest: boolean): void
  health(): ForwarderHealth[]
  /** Names of the destinations to which this receiver forwards, and not another. */
  forwarding(): string[]
  close(): Promise<void>
}

export function startFanout(options: FanoutOptions): Fanout {
  const { store, destinations, serviceName, onCanary, tracing, metric, log, leaseMs = 15_000 } = options
  const { isShared } = store.following
  for (const counter of ['fanout_sent', 'fanout_refused', 'fanout_failures', 'fanout_gaps'] as const)
    metric.expect(
      counter,
      destinations.map(({ name }) => name),
    )
  const holder = createEventId()
  const thread = createBatchThread({ source: store.scanSource, destinations, serviceName })
  const forwarders = destinations.map((destination, index) => {
    const { name } = destination
    const begin = async () => (destination.from === 'beginning' ? '' : store.commitCursor())
    const checkpoint = createCheckpoint({
      name,
      notes: store.notes,
      holder,
      isShared,
      leaseMs,
      begin,
      onDamage(text) {
        metric.add('fanout_gaps', 1, name)
        log.error(
          { destination: name, text: text.slice(0, 1000) },
          'the checkpoint of a destination cannot be read; the fan-out begins anew, and there may be a gap',
        )
      },
    })
    return startForwarder({
      destination,
      index,
      thread,
      checkpoint,
      begin,
      leaseMs,
      onCanary,
      tracing,
      metric,
      log,
    })
  })
  return {
    ready: Promise.all(forwarders.map(({ ready }) => ready)).then(() => {}),
    wake(isRest) {
      for (const forwarder of forwarders) forwarder.wake(isRest)
    },
    health: () => forwarders.map((forwarder) => forwarder.health()),
    forwarding: () =>
      forwarders.flatMap((forwarder) => {
        const { name, state } = forwarder.health()
        return state === 'elsewhere' ? [] : [name]
      }),
    async close() {
      await Promise.all(forwarders.map((forwarder) => forwarder.close()))
      await thread.close()
    },
  }
}
