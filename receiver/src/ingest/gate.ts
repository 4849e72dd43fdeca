import { EventError } from '@madsci-events/sdk/event'

export interface GateOptions {
  maxBytes: number
}

/** A place in the receiver for one body. */
export interface Ticket {
  /** More bytes than announced: a body without length, or one that inflates. Throws EVT_OVERLOAD when they do not fit. */
  grow(bytes: number): void
  /** Gives the place back; a second call does nothing. */
  release(): void
}

export interface Gate {
  enter(bytes: number): Ticket
  readonly inFlightBytes: number
  close(): void
}

/**
 * Overload gate: counts the bytes of bodies under way.
 *
 * Promises:
 *  1. A body is refused before it is read: a refused one costs its headers, not its memory.
 *  2. One body always gets in when nothing else is under way, however large.
 *  3. Every byte that entered leaves, also on failure.
 */
export function createGate({ maxBytes }: GateOptions): Gate {
  let inFlightBytes = 0
  let closed = false

  const check = (bytes: number, ownBytes: number) => {
    if (closed) throw new EventError('EVT_CLOSING', undefined, { retryAfterSeconds: 2 })
    if (inFlightBytes > ownBytes && inFlightBytes + bytes > maxBytes) throw new EventError('EVT_OVERLOAD')
  }

  return {
    enter(bytes) {
      check(bytes, 0)
      let held = bytes
      inFlightBytes += bytes
      return {
        grow(more) {
          if (!closed) check(more, held)
          held += more
          inFlightBytes += more
        },
        release() {
          inFlightBytes -= held
          held = 0
        },
      }
    },
    get inFlightBytes() {
      return inFlightBytes
    },
    close() {
      closed = true
    },
  }
}
