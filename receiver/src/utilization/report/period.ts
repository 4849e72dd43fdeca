import type { Analyst } from './analysis.ts'
import type { AnalysisType, Bucket } from './bucket.ts'
import type { Facts } from './facts.ts'
import { mean } from './mean.ts'
import { type Num, plus, round, secondsBetween } from './number.ts'
import { findStartedSessions, type Session } from './session.ts'
import { analyseSessions, summarize } from './sessions-report.ts'
import type { Window } from './window.ts'

/** The part of a session that lies in a bucket; of hourly buckets, a whole session of the bucket's own report. */
export interface Fragment {
  type: Session['type']
  id: string
  percent: Num
  experiments: number
  experimentIds: string[]
  runtimeHours: Num
  activeHours: Num
}

/** What a bucket comes to. */
export interface Period {
  percent: Num
  experiments: number
  runtimeHours: Num
  activeHours: Num
  nodes: Map<string, { percent: Num; busyHours: Num }>
  fragments: Fragment[]
}

/** Python's `value or 0`: a float 0.0 becomes the integer. */
export const orZero = (value: Num): Num => (Number(value) === 0 ? 0n : value)

export function toPeriods(
  facts: Facts,
  analyst: Analyst,
  window: Window,
  buckets: readonly Bucket[],
  type: AnalysisType,
): Period[] {
  if (type === 'hourly' || type === 'other')
    return buckets.map((bucket) => toReportPeriod(facts, analyst, bucket))
  const sessions = findStartedSessions(facts, window)
  const starts = facts.experiments.filter(({ kind }) => kind === 'start')
  return buckets.map((bucket) => {
    const experiments = starts.filter(({ micros }) => isWithin(micros, bucket))
    const overlapping = sessions.flatMap((session) => {
      const startMicros = Math.max(bucket.startMicros, session.startMicros)
      const endMicros = Math.min(bucket.endMicros, session.endMicros)
      return startMicros < endMicros ? [{ session, overlap: { startMicros, endMicros } }] : []
    })
    return toOverlapPeriod(analyst, overlapping, experiments, type === 'weekly')
  })
}

const isWithin = (micros: number, { startMicros, endMicros }: Window) =>
  micros >= startMicros && micros <= endMicros

/** A bucket that is a sessions report of its own. */
function toReportPeriod(facts: Facts, analyst: Analyst, bucket: Window): Period {
  const sessions = analyseSessions(facts, analyst, bucket)
  const summary = summarize(sessions)
  return {
    percent: summary.averagePercent,
    experiments: summary.experiments,
    runtimeHours: summary.runtimeHours,
    activeHours: summary.activeHours,
    nodes: new Map(
      [...summary.nodes].map(([id, node]) => [
        id,
        { percent: node.averagePercent, busyHours: node.busyHours },
      ]),
    ),
    fragments: sessions.map(({ session, analysis }) => ({
      type: session.type,
      id: session.id,
      percent: analysis.percent,
      experiments: analysis.experimentIds.length,
      experimentIds: analysis.experimentIds,
      runtimeHours: analysis.totalSeconds / 3600,
      activeHours: analysis.activeSeconds / 3600,
    })),
  }
}

interface NodeShares {
  percents: Num[]
  busyHours: Num
}

/**
 * Sessions of the whole window, by the part of them that lies in the bucket. Daily and monthly buckets count the whole busy
 * time of a node in every bucket that a session touches, weekly ones its share.
 */
function toOverlapPeriod(
  analyst: Analyst,
  sessions: readonly { session: Session; overlap: Window }[],
  experiments: readonly { micros: number; id: string }[],
  isWeekly: boolean,
): Period {
  let runtimeHours: Num = 0n
  let activeHours: Num = 0n
  let weighted: Num = 0n
  const nodes = new Map<string, NodeShares>()
  const fragments: Fragment[] = []
  for (const { session, overlap } of sessions) {
    const analysis = analyst.analyse(session.startMicros, session.endMicros)
    const hours = secondsBetween(overlap.startMicros, overlap.endMicros) / 3600
    const share = hours / (analysis.totalSeconds / 3600)
    const active = isWeekly ? hours * (analysis.percent / 100) : (analysis.activeSeconds / 3600) * share
    runtimeHours = plus(runtimeHours, hours)
    activeHours = plus(activeHours, active)
    weighted = plus(weighted, analysis.percent * hours)
    for (const [id, node] of analysis.nodes) {
      let shares = nodes.get(id)
      if (!shares) {
        shares = { percents: [], busyHours: 0n }
        nodes.set(id, shares)
      }
      const busy = node.busy / 3600
      shares.percents.push(isWeekly ? node.roundedPercent : orZero(node.roundedPercent))
      shares.busyHours = plus(shares.busyHours, isWeekly ? busy * share : orZero(busy))
    }
    const within = experiments.filter(({ micros }) => isWithin(micros, overlap))
    fragments.push({
      type: session.type,
      id: session.id,
      percent: analysis.percent,
      experiments: within.length,
      experimentIds: within.map(({ id }) => id),
      runtimeHours: hours,
      activeHours: active,
    })
  }
  const part = isWeekly ? Number(weighted) : Number(activeHours)
  const whole = Number(runtimeHours)
  return {
    percent: whole > 0 ? (isWeekly ? part / whole : (part / whole) * 100) : 0n,
    experiments: experiments.length,
    runtimeHours,
    activeHours,
    nodes: new Map(
      [...nodes].map(([id, { percents, busyHours }]) => [
        id,
        { percent: round(mean(percents), 1), busyHours: round(busyHours, 3) },
      ]),
    ),
    fragments,
  }
}
