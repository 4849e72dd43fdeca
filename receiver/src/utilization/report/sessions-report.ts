import type { Analysis, Analyst } from './analysis.ts'
import type { Facts } from './facts.ts'
import { type Num, plus, secondsBetween, sum, type Tree, toFixed, toIsoText } from './number.ts'
import { findSessions, type Session } from './session.ts'
import type { Window } from './window.ts'

/** A session beside what it comes to. */
export interface AnalysedSession {
  session: Session
  analysis: Analysis
}

export interface Summary {
  runtimeHours: Num
  activeHours: Num
  averagePercent: number
  experiments: number
  nodes: Map<string, { averagePercent: number; busyHours: Num; sessions: number; percents: number[] }>
}

export const last8 = (id: string) => id.slice(-8)

export function analyseSessions(facts: Facts, analyst: Analyst, window: Window): AnalysedSession[] {
  return findSessions(facts, window).map((session) => ({
    session,
    analysis: analyst.analyse(session.startMicros, session.endMicros),
  }))
}

export function summarize(sessions: readonly AnalysedSession[]): Summary {
  const nodes: Summary['nodes'] = new Map()
  for (const { analysis } of sessions) {
    for (const [id, node] of analysis.nodes) {
      let entry = nodes.get(id)
      if (!entry) {
        entry = { averagePercent: 0, busyHours: 0n, sessions: 0, percents: [] }
        nodes.set(id, entry)
      }
      entry.busyHours = plus(entry.busyHours, node.busy / 3600)
      entry.percents.push(node.roundedPercent)
      entry.sessions++
    }
  }
  for (const entry of nodes.values()) entry.averagePercent = mean(entry.percents)
  return {
    runtimeHours: sum(sessions.map(({ analysis }) => analysis.totalSeconds / 3600)),
    activeHours: sum(sessions.map(({ analysis }) => analysis.activeSeconds / 3600)),
    averagePercent: mean(sessions.map(({ analysis }) => analysis.percent)),
    experiments: sessions.reduce((count, { analysis }) => count + analysis.experimentIds.length, 0),
    nodes,
  }
}

const mean = (values: readonly number[]) => Number(sum(values)) / values.length

/** GET /utilization/sessions, with its keys in the order of the original's. */
export function toSessionsReport(
  facts: Facts,
  analyst: Analyst,
  window: Window,
  generatedAt: string,
): { [key: string]: Tree } {
  const sessions = analyseSessions(facts, analyst, window)
  const summary = summarize(sessions)
  const start = toIsoText(window.startMicros)
  const end = toIsoText(window.endMicros)
  const hours = secondsBetween(window.startMicros, window.endMicros) / 3600
  const nodeSummary = new Map<string, Tree>()
  for (const [id, node] of summary.nodes) {
    nodeSummary.set(id, {
      average_utilization_percent: node.averagePercent,
      total_busy_time_hours: node.busyHours,
      sessions_active: BigInt(node.sessions),
    })
  }
  return {
    report_metadata: {
      generated_at: generatedAt,
      analysis_start: start,
      analysis_end: end,
      total_sessions: BigInt(sessions.length),
      analysis_duration_hours: hours,
    },
    overall_summary: {
      total_sessions: BigInt(sessions.length),
      total_system_runtime_hours: summary.runtimeHours,
      total_active_time_hours: summary.activeHours,
      average_system_utilization_percent: summary.averagePercent,
      total_experiments: BigInt(summary.experiments),
      nodes_tracked: BigInt(summary.nodes.size),
      node_summary: nodeSummary,
      analysis_period: { start_time: start, end_time: end, duration_hours: hours },
    },
    session_details: sessions.map((one) => toDetail(facts, one)),
  }
}

const sessionTitles = { lab: 'Lab', workcell: 'Workcell', default_analysis: '' }

function toDetail(facts: Facts, { session, analysis }: AnalysedSession): Tree {
  const { totalSeconds, activeSeconds } = analysis
  const idle = totalSeconds - activeSeconds
  const nodes = new Map<string, Tree>()
  for (const [id, node] of analysis.nodes) {
    const name = facts.nodeName(id) ?? null
    const busy = node.busy / 3600
    const idleHours = node.idle / 3600
    nodes.set(id, {
      node_id: id,
      node_name: name,
      display_name: name === null ? `Node ${last8(id)}` : `${name} (${last8(id)})`,
      utilization_percent: node.roundedPercent,
      state: node.isBusy ? 'busy' : 'idle',
      timing: {
        busy_time: toDuration(node.busy),
        idle_time: toDuration(node.idle),
        total_time: toDuration(node.total),
      },
      raw_hours: { busy, idle: idleHours, total: node.total / 3600 },
      busy_time_hours: busy,
      idle_time_hours: idleHours,
    })
  }
  const hours = { duration: totalSeconds / 3600, active: activeSeconds / 3600, idle: idle / 3600 }
  return {
    session_type: session.type,
    session_id: session.id,
    session_name:
      session.type === 'default_analysis'
        ? 'Complete Database Analysis'
        : `${sessionTitles[session.type]} ${last8(session.id)}`,
    start_time: toIsoText(session.startMicros),
    end_time: toIsoText(session.endMicros),
    timing: {
      duration: toDuration(totalSeconds),
      active_time: toDuration(activeSeconds),
      idle_time: toDuration(idle),
    },
    system_utilization_percent: analysis.percent,
    total_experiments: BigInt(analysis.experimentIds.length),
    experiment_details: analysis.experimentIds.map((id) => {
      const name = facts.experimentName(id) ?? null
      return {
        experiment_id: id,
        experiment_name: name,
        display_name: name ?? `Experiment ${last8(id)}`,
      }
    }),
    nodes_active: BigInt(analysis.nodes.size),
    node_utilizations: nodes,
    raw_hours: hours,
    duration_hours: hours.duration,
    active_time_hours: hours.active,
  }
}

/** A duration for people and for programs. */
function toDuration(seconds: Num): Tree {
  const value = Number(seconds)
  const hours = value / 3600
  const minutes = value / 60
  const [unit, primary, letter]: [string, Num, string] =
    value < 60 ? ['seconds', seconds, 's'] : value < 3600 ? ['minutes', minutes, 'm'] : ['hours', hours, 'h']
  return {
    display: `${toFixed(primary, 1)}${letter}`,
    seconds,
    minutes,
    hours,
    primary_unit: unit,
    primary_value: primary,
  }
}
