import type { Facts } from './facts.ts'
import { round } from './number.ts'
import type { Session } from './session.ts'
import { createSessionFold, type NodeTimes, type SessionFold } from './session-fold.ts'

/** A session as the reports use it: nodes without workcells, percents rounded to one decimal. */
export interface Analysis {
  totalSeconds: number
  activeSeconds: number
  percent: number
  experimentIds: string[]
  nodes: Map<string, NodeTimes & { roundedPercent: number }>
}

/** Computes sessions, and keeps what it computed as long as nothing new falls into it. */
export interface Analyst {
  /** Throws `rowsGone` when it needs rows that were dropped. */
  analyse(startMicros: number, endMicros: number): Analysis
  /** Something came within this span. */
  renew(span: { from: number; to: number }): void
  /** Computes sessions up to a time, for good: the rows up to it may be dropped then. */
  keep(sessions: readonly Session[], throughMicros: number): void
  clear(): void
}

/** Only reading everything again, and keeping it, can answer. */
export const rowsGone = new Error('a session needs rows that were dropped')

const maxFolds = 2000
const rowsBetweenLooks = 100_000

/** `checkTime` is called now and then, and throws when the report takes too long. */
export function createAnalyst(facts: Facts, checkTime: () => void): Analyst {
  const folds = new Map<number, SessionFold>()
  // What is computed of dropped rows: each session that began in them, and all of them as one.
  const kept = new Map<number, SessionFold>()
  let whole: { fold: SessionFold; firstMicros: number } | undefined

  /** A fold that needs none of the dropped rows. */
  function begin(startMicros: number, endMicros: number): SessionFold {
    const { droppedThrough } = facts.rows
    if (startMicros > droppedThrough) return createSessionFold(startMicros)
    const one = kept.get(startMicros)
    if (one?.throughMicros === Math.min(endMicros, droppedThrough)) return one.copy()
    if (whole && startMicros <= whole.firstMicros && endMicros >= droppedThrough)
      return whole.fold.copy(startMicros)
    throw rowsGone
  }

  function foldTo(startMicros: number, endMicros: number): SessionFold {
    const { droppedThrough } = facts.rows
    let fold = folds.get(startMicros)
    const isOfUse =
      fold &&
      fold.throughMicros <= endMicros &&
      (startMicros > droppedThrough ||
        fold.throughMicros >= droppedThrough ||
        fold.throughMicros === endMicros)
    if (!fold || !isOfUse) fold = begin(startMicros, endMicros)
    folds.delete(startMicros)
    folds.set(startMicros, fold)
    if (folds.size > maxFolds) for (const [oldest] of folds) if (folds.delete(oldest)) break
    return extend(fold, endMicros, checkTime)
  }

  function extend(fold: SessionFold, endMicros: number, check: () => void): SessionFold {
    const { rows } = facts
    const { startMicros } = fold
    const from =
      fold.throughMicros >= startMicros ? rows.firstAfter(fold.throughMicros) : rows.firstAt(startMicros)
    const to = rows.firstAfter(endMicros)
    // In parts, so that a heavy report can be ended. Each part is whole times, for what comes after it is behind its time.
    for (let at = from; at < to; ) {
      let next = Math.min(at + rowsBetweenLooks, to)
      if (next < to) next = rows.firstAfter(rows.micros[next]!)
      fold.add(rows, at, next, rows.micros[next - 1]!)
      at = next
      check()
    }
    fold.add(rows, to, to, Math.max(endMicros, fold.throughMicros))
    return fold
  }

  return {
    analyse(startMicros, endMicros) {
      const times = foldTo(startMicros, endMicros).finish(endMicros)
      const nodes: Analysis['nodes'] = new Map()
      for (const one of times.nodes) {
        const id = facts.nodeId(one.node)
        if (!facts.isWorkcell(id)) nodes.set(id, { ...one, roundedPercent: Number(round(one.percent, 1)) })
      }
      return {
        totalSeconds: times.total,
        activeSeconds: times.active,
        percent: Number(round(times.percent, 1)),
        experimentIds: times.experiments.map((index) => facts.experimentId(index)),
        nodes,
      }
    },
    renew({ from, to }) {
      for (const [start, fold] of folds) if (start <= to && from <= fold.throughMicros) folds.delete(start)
    },
    keep(sessions, throughMicros) {
      const { rows } = facts
      const { droppedThrough } = rows
      const unhurried = () => {}
      whole ??= { fold: createSessionFold(Number.NEGATIVE_INFINITY), firstMicros: rows.micros[0]! }
      extend(whole.fold, throughMicros, unhurried)
      for (const { startMicros, endMicros } of sessions) {
        if (startMicros > throughMicros) continue
        const one = kept.get(startMicros) ?? createSessionFold(startMicros)
        // One that began in dropped rows and is not known, or is over, stays as it is.
        const isWhole = startMicros > droppedThrough || one.throughMicros === droppedThrough
        if (isWhole) kept.set(startMicros, extend(one, Math.min(endMicros, throughMicros), unhurried))
      }
    },
    clear() {
      folds.clear()
      kept.clear()
      whole = undefined
    },
  }
}
