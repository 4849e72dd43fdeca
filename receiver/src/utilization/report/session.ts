import type { Boundary, Facts } from './facts.ts'
import type { Window } from './window.ts'

export interface Session {
  type: 'lab' | 'workcell' | 'default_analysis'
  id: string
  startMicros: number
  endMicros: number
}

/**
 * Sessions that start within the window; none: one over the whole window. A session ends with the first stop of its id that
 * is later and within the window, else with the next start of the same id in the window, else with the window.
 */
export function findSessions(facts: Facts, window: Window): Session[] {
  const found = findStartedSessions(facts, window)
  if (found.length > 0) return found
  const { startMicros, endMicros } = window
  return [
    {
      type: 'default_analysis',
      id: `analysis_${Math.trunc(startMicros / 1e6)}`,
      startMicros,
      endMicros,
    },
  ]
}

export function findStartedSessions(facts: Facts, { startMicros, endMicros }: Window): Session[] {
  const stops = new Map<string, number[]>()
  const starts = new Map<string, number[]>()
  const inWindow: Boundary[] = []
  for (const boundary of facts.boundaries) {
    const { micros, isStart, sourceWorkcell, sourceManager, dataWorkcell } = boundary
    if (!isStart) {
      for (const id of new Set([sourceWorkcell, sourceManager, dataWorkcell])) note(stops, id, micros)
    } else if (micros >= startMicros && micros <= endMicros) {
      inWindow.push(boundary)
      note(starts, idOf(boundary), micros)
    }
  }
  return inWindow.map((boundary) => {
    const id = idOf(boundary)
    const stop = id === undefined ? undefined : firstAfter(stops.get(id), boundary.micros)
    const next = id === undefined ? undefined : firstAfter(starts.get(id), boundary.micros)
    return {
      type: boundary.kind,
      id: id ?? `system_${Math.trunc(boundary.micros / 1e6)}`,
      startMicros: boundary.micros,
      endMicros: stop !== undefined && stop <= endMicros ? stop : (next ?? endMicros),
    }
  })
}

const idOf = ({ sourceWorkcell, sourceManager, dataWorkcell }: Boundary) =>
  sourceWorkcell ?? sourceManager ?? dataWorkcell

function note(map: Map<string, number[]>, id: string | undefined, micros: number): void {
  if (id === undefined) return
  const list = map.get(id)
  if (list) list.push(micros)
  else map.set(id, [micros])
}

/** Of an ascending list. */
function firstAfter(list: readonly number[] | undefined, micros: number): number | undefined {
  if (!list) return undefined
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (list[middle]! <= micros) low = middle + 1
    else high = middle
  }
  return list[low]
}
