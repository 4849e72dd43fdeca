import { type Event, toEventJson } from '@madsci-events/sdk/event'
import { leastPooledBytes } from '../document/memory-pool.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { EventStore } from '../store/event-store.ts'
import { isSameContent } from './same-content.ts'

export interface ConflictOptions {
  store: Pick<EventStore, 'get'>
  metric: Metric
  log: Log
}

/** Events under the id of a stored one that say something else: the stored one is kept, and somebody is told. */
export interface Conflicts {
  note(eventId: string): void
  /** Asks the store for those of a request that brought known ids, up to a bound, and notes what differs. Never rejects. */
  count(events: readonly Event[], isTimed: boolean): Promise<number>
}

/** Whether the bytes of a request are few enough to be kept until its events are stored. */
export const canDecodeAgain = (bytes: Uint8Array) => bytes.length < leastPooledBytes

// After an outage whole spools come again, of which all is stored: a look at some is enough.
const looksPerSecond = 500
const looksPerRequest = 50
// The requests are small; what is stored under their ids may be large.
const maxStoredCharacters = 1024 * 1024

export function createConflicts({ store, metric, log }: ConflictOptions): Conflicts {
  const throttle = createThrottle()
  let looks = 0
  let untilMs = 0

  function mayLook(): boolean {
    const nowMs = performance.now()
    if (nowMs > untilMs) {
      looks = 0
      untilMs = nowMs + 1000
    }
    return looks++ < looksPerSecond
  }

  function note(eventId: string): void {
    metric.add('events_conflicting', 1)
    throttle('conflict', (suppressed) =>
      log.warn(
        { event_id: eventId, suppressed },
        'an event with the id of a stored one has other content; the stored one was kept',
      ),
    )
  }

  return {
    note,
    async count(events, isTimed) {
      let found = 0
      let characters = 0
      for (const event of events.slice(0, looksPerRequest)) {
        if (characters > maxStoredCharacters || !mayLook()) break
        const stored = await store.get(event.event_id).catch(() => undefined)
        characters += stored?.json.length ?? 0
        if (!stored || isSameContent(stored.json, toEventJson(event), isTimed)) continue
        note(event.event_id)
        found++
      }
      return found
    },
  }
}
