import { EventError } from '@madsci-events/sdk/event'
import { createFairLine, type Waiting } from '../fair-line.ts'

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
  /**
   * `announcedBytes` are only compared with the room that is left: they count as they come. `client` is whose body it is, as
   * one key. Throws EVT_OVERLOAD.
   */
  enter(announcedBytes: number, client: string): Ticket
  readonly inFlightBytes: number
  close(): void
}

// Many times what a store writes at once, and little beside a heap.
const unpackedBytes = 8 * 1024 * 1024
// Of the room, for one client while others send too.
const clientShare = 0.75
const seenForMs = 30_000
const maxClients = 10_000

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
 *  4. Bodies are unpacked in turns by client, and those of one client in the order in which they came whole, so many at once
 *     as fit; one always is, however large.
 *  5. While another client was here in the last 30 s, one has three quarters of the room at most, and all of it otherwise.
 */
export function createGate({ maxBytes, maxUnpackedBytes = unpackedBytes }: GateOptions): Gate {
  let inFlightBytes = 0
  let closed = false
  let unpackedNowBytes = 0
  const line = createFairLine<Turn>()
  // The one that is next, once it has been taken out of the line: smaller ones behind it do not overtake it.
  let next: Turn | undefined
  const clients = createPresence()

  const fits = (bytes: number) => unpackedNowBytes === 0 || unpackedNowBytes + bytes <= maxUnpackedBytes
  function callNext(): void {
    next ??= line.take()
    while (next && fits(next.bytes)) {
      const { client, bytes, begin } = next
      unpackedNowBytes += bytes
      line.charge(client, bytes)
      begin()
      next = line.take()
    }
  }

  /** `heldBytes` are those of the body itself. */
  function check(bytes: number, heldBytes: number, client: Client): void {
    if (closed) throw new EventError('EVT_CLOSING', undefined, { retryAfterSeconds: 2 })
    if (inFlightBytes > heldBytes && inFlightBytes + bytes > maxBytes) throw new EventError('EVT_OVERLOAD')
    if (client.bytes > heldBytes && client.bytes + bytes > maxBytes * clientShare && clients.isShared(client))
      throw new EventError('EVT_OVERLOAD', 'Too many bytes of one address in flight')
  }

  return {
    enter(announcedBytes, key) {
      const client = clients.note(key)
      check(announcedBytes, 0, client)
      let held = 0
      let unpacked = 0
      return {
        grow(more) {
          if (!closed) check(more, held, client)
          held += more
          inFlightBytes += more
          client.bytes += more
        },
        turn(bytes = held) {
          unpacked = bytes
          if (next === undefined && fits(unpacked)) {
            unpackedNowBytes += unpacked
            return undefined
          }
          return new Promise((begin) => {
            line.add({ client: key, isWaiting: true, bytes: unpacked, begin })
            next ??= line.take()
          })
        },
        release() {
          inFlightBytes -= held
          client.bytes -= held
          unpackedNowBytes -= unpacked
          held = unpacked = 0
          callNext()
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

interface Turn extends Waiting {
  bytes: number
  begin: () => void
}

interface Client {
  seenMs: number
  /** Of its bodies under way. */
  bytes: number
}

/** Who was here lately, the last one last. */
function createPresence() {
  const clients = new Map<string, Client>()
  let last: { key: string; client: Client } | undefined

  /** The oldest go, but for those with a body under way. */
  function forget(): void {
    for (const [key, { bytes }] of clients) {
      if (clients.size < maxClients) return
      if (bytes === 0) clients.delete(key)
    }
  }

  return {
    note(key: string): Client {
      const nowMs = performance.now()
      if (last?.key === key) {
        last.client.seenMs = nowMs
        return last.client
      }
      const client = clients.get(key) ?? { seenMs: nowMs, bytes: 0 }
      client.seenMs = nowMs
      clients.delete(key)
      if (clients.size >= maxClients) forget()
      clients.set(key, client)
      last = { key, client }
      return client
    },
    isShared(client: Client): boolean {
      const sinceMs = performance.now() - seenForMs
      for (const other of clients.values()) if (other !== client && other.seenMs >= sinceMs) return true
      return false
    },
  }
}
