import type { Facts } from './facts.ts'
import { round } from './number.ts'
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
  analyse(startMicros: number, endMicros: number): Analysis
  /** Something came within this span. */
  renew(span: { from: number; to: number }): void
  clear(): void
}

const maxFolds = 2000
const rowsBetweenLooks = 100_000

/** `checkTime` is called now and then, and throws when the report takes too long. */
export function createAnalyst(facts: Facts, checkTime: () => void): Analyst {
  const folds = new Map<number, SessionFold>()

  function foldTo(startMicros: number, endMicros: number): SessionFold {
    let fold = folds.get(startMicros)
    if (!fold || fold.throughMicros > endMicros) fold = createSessionFold(startMicros)
    folds.delete(startMicros)
    folds.set(startMicros, fold)
    if (folds.size > maxFolds) for (const [oldest] of folds) if (folds.delete(oldest)) break
    const { rows } = facts
    const from =
      fold.throughMicros >= startMicros ? rows.firstAfter(fold.throughMicros) : rows.firstAt(startMicros)
    const to = rows.firstAfter(endMicros)
    // In parts, so that a heavy report can be ended. Each part is whole times, for what comes after it is behind its time.
    for (let at = from; at < to; ) {
      let next = Math.min(at + rowsBetweenLooks, to)
      if (next < to) next = rows.firstAfter(rows.micros[next]!)
      fold.add(rows, at, next, rows.micros[next - 1]!)
      at = next
      checkTime()
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
    clear: () => folds.clear(),
  }
}
