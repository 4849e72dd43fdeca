import { EventError } from '@madsci-events/sdk/event'

export interface GateOptions {
  maxBytes: number
  /** Of bodies that are unpacked at once; 8 MiB if not given. */
  maxUnpackedBytes?: number
}

/** A place in the receiver for one body. */
export interface Ticket {
  /** Bytes that have come, or that a body inflates to. Throws EVT_OVERLOAD when they do not fit. */
  grow(bytes: number): void
  /**
   * Ask before unpacking a body that has come whole: undefined for at once, else settles when its turn has come.
   * `bytes` is what it becomes, as far as that is known; its own bytes if not given.
   */
  turn(bytes?: number): Promise<void> | undefined
  /** Gives the place and the turn back; a second call does nothing. */
  release(): void
}

export interface Gate {
  /** `announcedBytes` are only compared with the room that is left: they count as they come. Throws EVT_OVERLOAD. */
  enter(announcedBytes: number): Ticket
  readonly inFlightBytes: number
  close(): void
}

// Many times what a store writes at once, and little beside a heap.
const unpackedBytes = 8 * 1024 * 1024

/**
 * Overload gate: counts the bytes of bodies under way. Events take ten times the memory of their bytes, so a body that
 * must wait for the store waits as bytes:
 *
 *     enter ▶ read, inflate ▶ turn ─┬▶ decode ▶ accept ══ commit ▶ release
 *                                   └ waits in line
 *
 * Promises:
 *  1. A body for which there is no room is refused before it is read: it costs its headers, not its memory.
 *  2. One body always gets in when nothing else is under way, however large.
 *  3. Every byte that entered leaves, also on failure. Bytes that are announced and do not come take no room.
 *  4. Bodies are unpacked in the order in which they came whole, so many at once as fit; one always is, however large.
 */
export function createGate({ maxBytes, maxUnpackedBytes = unpackedBytes }: GateOptions): Gate {
  let inFlightBytes = 0
  let closed = false
  let unpackedNowBytes = 0
  let line: { bytes: number; begin: () => void }[] = []

  const fits = (bytes: number) => unpackedNowBytes === 0 || unpackedNowBytes + bytes <= maxUnpackedBytes
  function callNext(): void {
    let count = 0
    for (const { bytes, begin } of line) {
      if (!fits(bytes)) break
      unpackedNowBytes += bytes
      count++
      begin()
    }
    if (count > 0) line = line.slice(count)
  }

  const check = (bytes: number, ownBytes: number) => {
    if (closed) throw new EventError('EVT_CLOSING', undefined, { retryAfterSeconds: 2 })
    if (inFlightBytes > ownBytes && inFlightBytes + bytes > maxBytes) throw new EventError('EVT_OVERLOAD')
  }

  return {
    enter(announcedBytes) {
      check(announcedBytes, 0)
      let held = 0
      let unpacked = 0
      return {
        grow(more) {
          if (!closed) check(more, held)
          held += more
          inFlightBytes += more
        },
        turn(bytes = held) {
          unpacked = bytes
          if (line.length > 0 || !fits(unpacked))
            return new Promise((begin) => void line.push({ bytes: unpacked, begin }))
          unpackedNowBytes += unpacked
          return undefined
        },
        release() {
          inFlightBytes -= held
          unpackedNowBytes -= unpacked
          held = unpacked = 0
          if (line.length > 0) callNext()
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
