import { hash, randomBytes } from 'node:crypto'
import type { RequestIdentity } from '../otlp/record-id.ts'

/** One try of a sender to bring a request. */
export interface Attempt {
  readonly identity: RequestIdentity
  /** Its answer did not arrive, as far as can be known: the next equal request is the same one again. */
  lose(): void
}

export interface Attempts {
  /** Of a request with this digest (hex). */
  begin(digest: string): Attempt
}

export interface AttemptsOptions {
  /** Requests that are remembered; 50,000 if not given, some 20 MB. */
  maxRemembered?: number
  now?: () => number
}

interface Place {
  identity: RequestIdentity
  lostMs: number
}

/** What is known of equal requests. */
interface Known {
  count: number
  /** Places of requests whose answers were lost, the longest lost first. */
  lost: Place[]
}

// A sender that has tried for so long in vain counts as another.
const keepMs = 3_600_000

/**
 * Tells a request that is sent again from one that is equal. Equal requests, whose answers are under way or were given,
 * are the first, the second, … of their kind, and each has an identity of its own; one whose answer was lost leaves its
 * place, and its identity, to the next equal one.
 *
 *     equal request ─▶ a place that was lost, if there is one; else a new one ──answer arrives──▶ taken for good
 *                                  ▲────────────────────────────── answer is lost ──┘
 *
 * The first of its kind has an identity of its bytes alone for the records that have a time, the same at every receiver and
 * after every restart, where nobody knows what was answered; records without a time have one by chance.
 */
export function createAttempts({ maxRemembered = 50_000, now = Date.now }: AttemptsOptions = {}): Attempts {
  // The order of a Map is that of its insertions: the first is the one that was asked for least lately.
  const requests = new Map<string, Known>()

  function knownOf(digest: string): Known {
    const known = requests.get(digest) ?? { count: 0, lost: [] }
    requests.delete(digest)
    requests.set(digest, known)
    if (requests.size > maxRemembered) requests.delete(requests.keys().next().value!)
    return known
  }

  return {
    begin(digest) {
      const known = knownOf(digest)
      const nowMs = now()
      while (known.lost.length > 0 && nowMs - known.lost[0]!.lostMs > keepMs) known.lost.shift()
      const place = known.lost.shift() ?? { identity: identityOf(digest, known.count++, nowMs), lostMs: 0 }
      let isLost = false
      return {
        identity: place.identity,
        lose() {
          if (isLost) return
          isLost = true
          place.lostMs = now()
          known.lost.push(place)
        },
      }
    },
  }
}

function identityOf(digest: string, number: number, nowMs: number): RequestIdentity {
  const own = number === 0 ? digest : hash('sha256', `${digest}#${number}`, 'hex')
  return { dated: Buffer.from(own.slice(0, 20), 'hex'), undated: randomBytes(10), undatedMs: nowMs }
}
