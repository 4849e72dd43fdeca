import type { Mark } from './entity.ts'
import type { Window } from './interval.ts'
import { compareSignals } from './signal.ts'
import { uniteSpans } from './span.ts'

/** How the original sees a part of a session: a node is active or not, and busy or not; experiments run or do not. */
export interface Seen extends Window {
  state: 'busy' | 'idle' | 'none'
}

/** The marks of a thing within a span, both ends included, oldest first. */
function marksWithin(marks: Mark | undefined, { start, end }: Window): Mark[] {
  const found: Mark[] = []
  for (let mark = marks; mark; mark = mark.previous)
    if (mark.at >= start && mark.at <= end) found.push(mark)
    else if (mark.at < start) break
  return found.reverse()
}

/**
 * A node within a session by the rules of the original: active from a start to a stop, or all the time when there was
 * neither; busy from the first running action to the end of the last; what is open ends with the session.
 * `actions` are the marks of all actions that name the node, oldest first.
 */
export function seeNode(node: Mark | undefined, actions: readonly Mark[], session: Window): Seen[] {
  const steps: Mark[] = marksWithin(node, session)
  let at = 0
  for (let high = actions.length; at < high; ) {
    const middle = (at + high) >> 1
    if (actions[middle]!.at < session.start) at = middle + 1
    else high = middle
  }
  for (; at < actions.length && actions[at]!.at <= session.end; at++) steps.push(actions[at]!)
  steps.sort(compareSignals)
  const active: Window[] = []
  const busy: Window[] = []
  const running = new Set<string>()
  let activeSince: number | undefined
  let busySince: number | undefined
  const close = (list: Window[], start: number | undefined, end: number) => {
    if (start !== undefined) list.push({ start, end })
  }
  for (const { at: now, key, isStart } of steps) {
    if (key === undefined) {
      if (isStart) {
        activeSince ??= now
        continue
      }
      close(active, activeSince, now)
      close(busy, busySince, now)
      activeSince = undefined
      busySince = undefined
      running.clear()
    } else if (isStart) {
      running.add(key)
      busySince ??= now
    } else if (running.delete(key) && running.size === 0) {
      close(busy, busySince, now)
      busySince = undefined
    }
  }
  const isActive = active.length > 0 || activeSince !== undefined
  close(active, activeSince, session.end)
  close(busy, busySince, session.end)
  return paint(session, isActive ? active : [session], busy)
}

/** The experiments of a session by the rules of the original: from the last start of each to its end, or to that of the session. */
export function seeExperiments(experiments: Iterable<Mark | undefined>, session: Window): Seen[] {
  const busy: Window[] = []
  for (const marks of experiments) {
    let from: number | undefined
    let isRunning = false
    for (const { at, isStart } of marksWithin(marks, session)) {
      if (isStart) from = at
      else if (from !== undefined) busy.push({ start: from, end: at })
      isRunning = isStart || (isRunning && from === undefined)
    }
    if (from !== undefined && isRunning) busy.push({ start: from, end: session.end })
  }
  return paint(session, [session], busy)
}

/** Busy over idle over nothing. */
function paint(session: Window, active: readonly Window[], busy: readonly Window[]): Seen[] {
  const edges = [
    session.start,
    session.end,
    ...[...active, ...busy].flatMap(({ start, end }) => [start, end]),
  ]
  const sorted = [...new Set(edges)]
    .filter((at) => at >= session.start && at <= session.end)
    .sort((a, b) => a - b)
  const [activeSpans, busySpans] = [uniteSpans(active), uniteSpans(busy)]
  const seen: Seen[] = []
  let [a, b] = [0, 0]
  for (let index = 0; index + 1 < sorted.length; index++) {
    const [start, end] = [sorted[index]!, sorted[index + 1]!]
    while (a < activeSpans.length && activeSpans[a]!.end <= start) a++
    while (b < busySpans.length && busySpans[b]!.end <= start) b++
    const isIn = (span: Window | undefined) => span !== undefined && span.start <= start
    const state = isIn(busySpans[b]) ? 'busy' : isIn(activeSpans[a]) ? 'idle' : 'none'
    const last = seen.at(-1)
    if (last && last.state === state) last.end = end
    else seen.push({ start, end, state })
  }
  return seen
}
