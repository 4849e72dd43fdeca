import { setTimeout as sleep } from 'node:timers/promises'
import { EventError } from './event/error.ts'
import { toBackoffMs } from './event/retry.ts'
import type { RestClient } from './rest.ts'
import type { FlushOptions, Sender } from './sender.ts'
import type { Losses } from './tally.ts'

export interface Auditor {
  /** Resolves when the receiver says that it has stored the event; rejects with the reason why that is not to be. */
  audit(id: string, options: FlushOptions): Promise<void>
}

export interface AuditorOptions {
  rest: RestClient
  sender: Sender | undefined
  losses: Losses
  timeoutMs: number
}

const maxIds = 5000
const pauses = { firstMs: 20, mostMs: 1000 }

/**
 * Delivered is not stored when a Collector stands between: only the receiver's own word counts. Questions of one moment
 * share a request.
 */
export function createAuditor({ rest, sender, losses, timeoutMs: usualMs }: AuditorOptions): Auditor {
  let asked: { ids: Set<string>; answer: Promise<Set<string>> } | undefined

  async function isStored(id: string): Promise<boolean> {
    if (asked === undefined || asked.ids.size >= maxIds) {
      const ids = new Set<string>()
      const answer = sleep(1).then(() => {
        if (asked?.ids === ids) asked = undefined
        return rest.findStored([...ids])
      })
      asked = { ids, answer }
    }
    asked.ids.add(id)
    return (await asked.answer).has(id)
  }

  return {
    async audit(id, { timeoutMs = usualMs }) {
      const deadlineMs = performance.now() + timeoutMs
      // What is stored is stored, whatever becomes of the others that wait: flush may fail for their sake.
      const flushed = sender?.flush({ timeoutMs }).then(
        () => undefined,
        (error: EventError) => error,
      )
      let trouble: unknown
      for (let round = 1; ; round++) {
        const why = losses.get(id)
        if (why !== undefined) throw new EventError('EVT_REFUSED', `event ${id} was not delivered: ${why}`)
        trouble = undefined
        try {
          if (await isStored(id)) return
        } catch (error) {
          if (!(error instanceof EventError) || !error.retry) throw error
          trouble = error
        }
        const pauseMs = toBackoffMs(round, pauses)
        if (performance.now() + pauseMs > deadlineMs) break
        await sleep(pauseMs)
      }
      const cause = trouble ?? (await Promise.race([flushed, sleep(0)]))
      const reason = cause instanceof Error ? cause.message : 'the receiver does not have it'
      throw new EventError(
        'EVT_UNREACHABLE',
        `event ${id} is not known to be stored after ${timeoutMs} ms: ${reason}`,
        { cause },
      )
    },
  }
}
