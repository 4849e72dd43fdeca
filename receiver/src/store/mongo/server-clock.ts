import type { Db } from 'mongodb'
import { callLimit } from './connection.ts'

const refreshMs = 30_000

/** The database's own clock: one for all receivers, whatever theirs say. */
export interface ServerClock {
  /** ms since 1970. */
  now(): Promise<number>
}

export function createServerClock(db: Db): ServerClock {
  let offsetMs = performance.timeOrigin
  let askedMs = Number.NEGATIVE_INFINITY
  return {
    async now() {
      if (performance.now() - askedMs > refreshMs) {
        const sentMs = performance.now()
        const { localTime } = await db.command({ hello: 1 }, callLimit())
        const atMs = (sentMs + performance.now()) / 2
        if (localTime instanceof Date) offsetMs = localTime.getTime() - atMs
        askedMs = atMs
      }
      return Math.round(performance.now() + offsetMs)
    },
  }
}
