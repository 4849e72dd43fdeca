import type { Log } from '../../log.ts'

/** In which state the columns can be. */
export const columnPhases = ['off', 'building', 'ready', 'paused', 'given_up'] as const
export type ColumnPhase = (typeof columnPhases)[number]

export interface ColumnState {
  /**
   * `building`: older events are still being read. `ready`: nothing is left to read, or there is no room for more. `paused`:
   * begins anew later. `given_up`: not before the next start.
   */
  phase: ColumnPhase
  /** Why they are paused or given up. */
  reason?: string
  events: number
  bytes: number
  /** Later events are all held, ms since 1970. Undefined: none can be told. -Infinity: all are. */
  completeSinceMs: number | undefined
}

export const columnsOff: ColumnState = { phase: 'off', events: 0, bytes: 0, completeSinceMs: undefined }

/** Keeps the last state, and logs each change of it once. Reading what was archived anew is no change. */
export function createColumnWatch(log: Log): { state: ColumnState; take(next: ColumnState): void } {
  const building: ColumnState = { ...columnsOff, phase: 'building' }
  let logged = ''
  return {
    state: building,
    take(next) {
      this.state = next
      const { phase, reason, events, bytes, completeSinceMs } = next
      const said = `${phase} ${reason ?? ''}`
      if (phase === 'building' || said === logged) return
      logged = said
      if (phase === 'ready') {
        const since = Number.isFinite(completeSinceMs) && {
          complete_since: new Date(completeSinceMs!).toISOString(),
        }
        log.info({ events, bytes, ...since }, 'summaries are answered from columns in memory')
      } else if (phase === 'paused')
        log.warn({ reason }, 'summaries are read from the store for now: the columns in memory are paused')
      else
        log.warn(
          { reason },
          'summaries are read from the store until the next start: the columns in memory were given up',
        )
    },
  }
}
