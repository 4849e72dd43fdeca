import type { Analyst } from './analysis.ts'
import { type AnalysisType, type Bucket, toAnalysisType, toBuckets } from './bucket.ts'
import type { Facts } from './facts.ts'
import { mean } from './mean.ts'
import { type Num, plus, round, secondsBetween, sum, type Tree, toFixed, toIsoText } from './number.ts'
import { orZero, type Period, toPeriods } from './period.ts'
import { last8 } from './sessions-report.ts'
import { toUserReport, toUserSummary } from './user-report.ts'
import type { Window } from './window.ts'

export interface PeriodsOptions {
  analysisType: string
  timezone: string
  includeUsers: boolean
  generatedAt: string
}

interface Point {
  utilization: Num
  experiments: bigint
  tree: { [key: string]: Tree }
}

/** A node or workcell over the buckets. */
interface Metrics {
  percents: Num[]
  busyHours: Num
  experiments: number[]
  runtimeHours: Num[]
  activeHours: Num[]
  displays: string[]
  series: Tree[]
}

const createMetrics = (): Metrics => ({
  percents: [],
  busyHours: 0n,
  experiments: [],
  runtimeHours: [],
  activeHours: [],
  displays: [],
  series: [],
})

/** GET /utilization/periods, with its keys in the order of the original's. */
export function toPeriodsReport(
  facts: Facts,
  analyst: Analyst,
  window: Window,
  options: PeriodsOptions,
): { [key: string]: Tree } {
  const { analysisType, timezone, generatedAt } = options
  const type = toAnalysisType(analysisType)
  const buckets = toBuckets(window, type, timezone)
  const periods = toPeriods(facts, analyst, window, buckets, type)
  const nodes = new Map<string, Metrics>()
  const workcells = new Map<string, Metrics>()
  const points = periods.map((period, index) => {
    const label = labelOf(buckets[index]!, index, type)
    addNodes(nodes, period, label)
    addWorkcells(workcells, period, label)
    return toPoint(period, buckets[index]!, label, type)
  })
  const experiments = toExperiments(facts, window, periods)
  const series = (metrics: Map<string, Metrics>) =>
    new Map([...metrics].filter(([, one]) => one.series.length > 0).map(([id, one]) => [id, one.series]))
  return {
    summary_metadata: {
      analysis_type: analysisType,
      generated_at: generatedAt,
      period_start: toIsoText(window.startMicros),
      period_end: toIsoText(window.endMicros),
      user_timezone: timezone,
      total_periods: BigInt(periods.length),
      method: 'session_based_analysis_with_experiment_details_refactored',
    },
    key_metrics: toKeyMetrics(points, periods, buckets, type),
    ...(options.includeUsers && {
      user_utilization: toUserSummary(toUserReport(facts, window, generatedAt)),
    }),
    node_summary: toNodeSummary(facts, nodes, type),
    workcell_summary: toWorkcellSummary(facts, workcells, type),
    trends: toTrends(points),
    experiment_details: {
      total_experiments: BigInt(experiments.length),
      experiments: experiments.slice(0, 50),
    },
    time_series: {
      system: points.map(({ tree }) => tree),
      nodes: series(nodes),
      workcells: series(workcells),
    },
  }
}

interface Label {
  period_number: bigint
  period_type: string
  period_display: string
  date: string
}

function labelOf(bucket: Bucket, index: number, type: AnalysisType): Label {
  const date = type === 'daily' ? bucket.localStart.slice(0, 10) : ''
  return {
    period_number: BigInt(index + 1),
    period_type: bucket.type,
    period_display: bucket.display,
    date: type === 'monthly' ? bucket.localStart.slice(0, 7) : date,
  }
}

function toPoint(period: Period, bucket: Bucket, label: Label, type: AnalysisType): Point {
  const utilization = orZero(period.percent)
  const experiments = BigInt(period.experiments)
  return {
    utilization,
    experiments,
    tree: {
      ...label,
      start_time: type === 'daily' || type === 'monthly' ? bucket.localStart : '',
      start_time_utc: toIsoText(bucket.startMicros),
      utilization,
      experiments,
      runtime_hours: orZero(period.runtimeHours),
      active_time_hours: orZero(period.activeHours),
    },
  }
}

function metricsOf(all: Map<string, Metrics>, id: string): Metrics {
  let metrics = all.get(id)
  if (!metrics) {
    metrics = createMetrics()
    all.set(id, metrics)
  }
  return metrics
}

function addNodes(nodes: Map<string, Metrics>, period: Period, label: Label): void {
  for (const [id, node] of period.nodes) {
    const metrics = metricsOf(nodes, id)
    const utilization = orZero(node.percent)
    const busyHours = orZero(node.busyHours)
    metrics.percents.push(utilization)
    metrics.busyHours = plus(metrics.busyHours, busyHours)
    metrics.displays.push(label.period_display)
    metrics.series.push({ ...label, utilization, busy_hours: busyHours })
  }
}

function addWorkcells(workcells: Map<string, Metrics>, period: Period, label: Label): void {
  for (const fragment of period.fragments) {
    if (fragment.type === 'default_analysis') continue
    const metrics = metricsOf(workcells, fragment.id)
    const utilization = orZero(fragment.percent)
    const runtimeHours = orZero(fragment.runtimeHours)
    const activeHours = orZero(fragment.activeHours)
    metrics.percents.push(utilization)
    metrics.experiments.push(fragment.experiments)
    metrics.runtimeHours.push(runtimeHours)
    metrics.activeHours.push(activeHours)
    // Without length it is in no series, and so moves the period of the peak: a quirk of the original.
    if (runtimeHours === 0n) continue
    metrics.displays.push(label.period_display)
    metrics.series.push({
      ...label,
      utilization,
      experiments: BigInt(fragment.experiments),
      runtime_hours: runtimeHours,
      active_time_hours: activeHours,
      attributed: false,
    })
  }
}

const peakWord = { daily: 'on', weekly: 'during', monthly: 'in', hourly: 'in', other: 'in' }
const noPeak = { peak_utilization: 0n, peak_period: null, peak_context: 'No peak data available' }

function toKeyMetrics(
  points: readonly Point[],
  periods: readonly Period[],
  buckets: readonly Bucket[],
  type: AnalysisType,
): Tree {
  const runtime = sum(periods.map(({ runtimeHours }) => orZero(runtimeHours)))
  const active = sum(periods.map(({ activeHours }) => orZero(activeHours)))
  const busy = points.filter(({ experiments }) => experiments > 0n)
  const average: Num =
    type === 'monthly'
      ? Number(runtime) > 0
        ? (Number(active) / Number(runtime)) * 100
        : 0n
      : busy.length > 0
        ? mean(busy.map(({ utilization }) => utilization))
        : 0n
  let peak = -1
  periods.forEach(({ percent }, index) => {
    if (Number(percent) > (peak < 0 ? 0 : Number(periods[peak]!.percent))) peak = index
  })
  const display = buckets[peak]?.display
  return {
    average_utilization: round(average, 2),
    ...(display === undefined
      ? noPeak
      : {
          peak_utilization: round(periods[peak]!.percent, 2),
          peak_period: display,
          peak_context: `Peak utilization ${peakWord[type]} ${display}`,
        }),
    total_experiments: busy.reduce((total, { experiments }) => total + experiments, 0n),
    total_runtime_hours: round(runtime, 2),
    total_active_time_hours: round(active, 2),
    active_periods: BigInt(busy.length),
    total_periods: BigInt(periods.length),
  }
}

function toPeak({ percents, displays }: Metrics, type: AnalysisType): { [key: string]: Tree } {
  if (percents.length === 0 || displays.length === 0) return noPeak
  let index = 0
  percents.forEach((percent, at) => {
    if (Number(percent) > Number(percents[index]!)) index = at
  })
  const peak = round(percents[index]!, 2)
  const display = displays[index]
  return display === undefined
    ? { peak_utilization: peak, peak_period: 'Unknown', peak_context: `Peak utilization: ${cellText(peak)}%` }
    : {
        peak_utilization: peak,
        peak_period: display,
        peak_context: `Peak utilization ${peakWord[type]} ${display}`,
      }
}

const cellText = (value: Num) =>
  typeof value === 'number' && Number.isInteger(value) ? `${value}.0` : String(value)

function toNodeSummary(facts: Facts, nodes: Map<string, Metrics>, type: AnalysisType): Tree {
  const tree = new Map<string, Tree>()
  for (const [id, metrics] of nodes) {
    const name = facts.nodeName(id) ?? null
    tree.set(id, {
      node_id: id,
      node_name: name,
      display_name: name === null ? `Node ${last8(id)}` : `${name} (${last8(id)})`,
      average_utilization: round(mean(metrics.percents), 2),
      ...toPeak(metrics, type),
      total_busy_hours: round(metrics.busyHours, 2),
    })
  }
  return tree
}

function toWorkcellSummary(facts: Facts, workcells: Map<string, Metrics>, type: AnalysisType): Tree {
  const tree = new Map<string, Tree>()
  for (const [id, metrics] of workcells) {
    const name = facts.workcellName(id) ?? `Workcell ${last8(id)}`
    tree.set(id, {
      workcell_id: id,
      workcell_name: name,
      display_name: name === `Workcell ${last8(id)}` ? name : `${name} (${last8(id)})`,
      average_utilization: round(mean(metrics.percents), 2),
      ...toPeak(metrics, type),
      total_experiments: BigInt(metrics.experiments.reduce((total, one) => total + one, 0)),
      total_runtime_hours: round(sum(metrics.runtimeHours), 2),
      total_active_time_hours: round(sum(metrics.activeHours), 2),
    })
  }
  return tree
}

const tooFew = { direction: 'insufficient_data', change_percent: 0n }

function toTrends(points: readonly Point[]): Tree {
  const active = points.filter(({ utilization }) => Number(utilization) > 0)
  if (active.length < 2) return { utilization_trend: tooFew, experiment_trend: tooFew }
  const [first, last] = [active[0]!, active.at(-1)!]
  const count = BigInt(active.length)
  return {
    utilization_trend: toTrend(first.utilization, last.utilization, count),
    experiment_trend: toTrend(first.experiments, last.experiments, count),
  }
}

function toTrend(first: Num, last: Num, count: bigint): Tree {
  const change: Num = Number(first) === 0 ? 0n : ((Number(last) - Number(first)) / Number(first)) * 100
  return {
    direction: Number(change) > 5 ? 'increasing' : Number(change) < -5 ? 'decreasing' : 'stable',
    change_percent: round(change, 2),
    first_value: round(first, 2),
    last_value: round(last, 2),
    active_periods_analyzed: count,
  }
}

/** Experiments of the fragments, or of the whole window when no fragment has one; by their start. */
function toExperiments(facts: Facts, window: Window, periods: readonly Period[]): Tree[] {
  const wanted = new Set(
    periods.flatMap(({ fragments }) => fragments.flatMap(({ experimentIds }) => experimentIds)),
  )
  const found = new Map<
    string,
    { start?: (typeof facts.experiments)[0]; end?: (typeof facts.experiments)[0] }
  >()
  for (const event of facts.experiments) {
    if (event.kind === 'end' || event.micros < window.startMicros || event.micros > window.endMicros) continue
    if (wanted.size > 0 && !wanted.has(event.id)) continue
    let entry = found.get(event.id)
    if (!entry) {
      entry = {}
      found.set(event.id, entry)
    }
    if (event.kind === 'start') entry.start = event
    else entry.end = event
  }
  const list: { micros: number; tree: Tree }[] = []
  for (const [id, { start, end }] of found) {
    if (!start) continue
    const seconds = end && secondsBetween(start.micros, end.micros)
    list.push({
      micros: start.micros,
      tree: {
        experiment_id: id,
        experiment_name: start.designName ?? 'Unknown Experiment',
        start_time: toIsoText(start.micros),
        end_time: end ? toIsoText(end.micros) : null,
        status: end ? toTree(end.status) : 'in_progress',
        duration_hours: seconds === undefined ? null : seconds / 3600,
        duration_display: seconds === undefined ? 'Ongoing' : toDurationText(seconds),
      },
    })
  }
  return list.sort((a, b) => a.micros - b.micros).map(({ tree }) => tree)
}

function toDurationText(seconds: number): string {
  if (seconds < 60) return `${toFixed(seconds, 1)} seconds`
  if (seconds < 3600) return `${toFixed(seconds / 60, 1)} minutes`
  return `${toFixed(seconds / 3600, 1)} hours`
}

/** event_data.status of a completion may be anything. */
function toTree(value: unknown): Tree {
  if (value === undefined) return 'completed'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map(toTree)
  if (typeof value === 'object' && value !== null)
    return new Map(Object.entries(value).map(([key, member]) => [key, toTree(member)]))
  return value as Tree
}
