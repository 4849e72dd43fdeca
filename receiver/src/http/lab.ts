import { setTimeout as sleep } from 'node:timers/promises'
import { isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Alerts } from '../alert/alerts.ts'
import type { EventStore } from '../store/event-store.ts'
import type { Utilization } from '../utilization/thread.ts'
import type { TimelineEntity } from '../utilization/timeline/timeline.ts'
import { createAlertReader } from './lab-alert.ts'
import type { LabAnswer, LabEvent, LabNode, LabState, LabWorkflow } from './lab-answer.ts'

export interface LabDoorOptions {
  store: EventStore
  utilization: Utilization
  alerts: Alerts | undefined
  /** Name of the manager. */
  title: string
}

// Every open page asks every few seconds; they share an answer.
const sharedMs = 1000
const hourMs = 3_600_000
// Of actions those under way are shown alone.
const actionsMs = 1000
const findTimeoutMs = 5000
// The first report after a start reads all stored events, which can take minutes: a page is told so meanwhile.
const reportPatienceMs = 2000
const reading: Report = {
  report_error: 'stored events are still being read',
  nodes: [],
  workflows: [],
}

/** GET /data/lab: one moment of the laboratory, for the first page. */
export function registerLab(app: FastifyInstance, options: LabDoorOptions): void {
  const readers = {
    report: createReportReader(options.utilization),
    alerts: options.alerts && createAlertReader(options.alerts, options.store),
  }
  let shared: { untilMs: number; text: Promise<string> } | undefined
  app.get('/data/lab', { schema: { hide: true } }, async (_request, reply) => {
    if (!shared || performance.now() > shared.untilMs) {
      const text = readLab(options, readers).then((answer) => JSON.stringify(answer))
      const own = { untilMs: performance.now() + sharedMs, text }
      // A failure is for those who wait for it, and for nobody later.
      text.catch(() => {
        if (shared === own) shared = undefined
      })
      shared = own
    }
    return reply.header('content-type', 'application/json').send(await shared.text)
  })
}

async function readLab(
  { store, title }: LabDoorOptions,
  readers: {
    report: (nowMs: number) => Promise<Report>
    alerts: ReturnType<typeof createAlertReader> | undefined
  },
): Promise<LabAnswer> {
  const nowMs = Date.now()
  const { connected, totalEvents } = await store.health()
  const common = { now: new Date(nowMs).toISOString(), name: title, is_store_up: connected }
  if (!connected) {
    const report_error = 'The store does not answer'
    return {
      ...common,
      total_events: null,
      last_event: null,
      report_error,
      nodes: [],
      workflows: [],
      alerts: null,
    }
  }
  const [lastEvent, report, open] = await Promise.all([
    readLast(store),
    readers.report(nowMs),
    readers.alerts?.() ?? null,
  ])
  const names = new Map(report.nodes.map(({ id, name }) => [id, name]))
  const alerts =
    open?.map(({ node_id, ...alert }) => ({
      ...alert,
      node: alert.node ?? (node_id && (names.get(node_id) ?? node_id)),
    })) ?? null
  return { ...common, total_events: totalEvents ?? null, last_event: lastEvent, ...report, alerts }
}

/** The newest event, archived or not. */
export async function readLast(store: EventStore): Promise<LabEvent | null> {
  const query = {
    archived: 'include',
    order: 'newest',
    limit: 1,
    offset: 0,
    timeoutMs: findTimeoutMs,
  } as const
  for await (const [event] of store.find({ ...query, minLevel: 0 }, { client: 'pages', isReserved: true })) {
    const document = event && parseJson(event.json)
    if (!event || !isObject(document)) continue
    const { event_type, log_level, event_timestamp, event_data } = document
    return {
      id: event.id,
      type: wordOf(event_type),
      level: Number(log_level),
      message: isObject(event_data) ? wordOf(event_data.message).slice(0, 300) : '',
      timestamp: wordOf(event_timestamp),
    }
  }
  return null
}

const wordOf = (value: Value | undefined) => (value === undefined || value === null ? '' : String(value))

type Report = Pick<LabAnswer, 'report_error' | 'nodes' | 'workflows'>

/** One report at a time; `reading` when it is not ready soon, and the next who asks waits for the same one. */
function createReportReader(utilization: Utilization): (nowMs: number) => Promise<Report> {
  let running: Promise<Report> | undefined
  return async (nowMs) => {
    running ??= readReport(utilization, nowMs).finally(() => {
      running = undefined
    })
    const late = new AbortController()
    const timer = sleep(reportPatienceMs, reading, { signal: late.signal, ref: false }).catch(() => reading)
    const report = await Promise.race([running, timer])
    late.abort()
    return report
  }
}

async function readReport(utilization: Utilization, nowMs: number): Promise<Report> {
  const startMs = nowMs - hourMs
  try {
    const [things, actions] = await Promise.all([
      readTimeline(utilization, 'node,workflow,step', { startMs, nowMs }),
      readTimeline(utilization, 'action', { startMs: nowMs - actionsMs, nowMs }),
    ])
    return { report_error: null, ...toLab([...things, ...actions], startMs) }
  } catch (error) {
    return { report_error: (error as Error).message, nodes: [], workflows: [] }
  }
}

async function readTimeline(
  utilization: Utilization,
  kind: string,
  { startMs, nowMs }: { startMs: number; nowMs: number },
): Promise<TimelineEntity[]> {
  const { pieces } = await utilization.ask({
    report: 'timeline',
    parameters: {
      kind,
      start_time: new Date(startMs).toISOString(),
      end_time: new Date(nowMs).toISOString(),
      limit: '10000',
    },
  })
  let text = ''
  for await (const piece of pieces) text += piece
  return (JSON.parse(text) as { entities: TimelineEntity[] }).entities
}

/** Things with their intervals of the last hour → nodes, and workflows that have not ended. */
export function toLab(
  entities: readonly TimelineEntity[],
  startMs: number,
): Pick<Report, 'nodes' | 'workflows'> {
  const steps = new Map<string, string>()
  for (const { kind, name, id, workflow_id, intervals } of entities)
    if (kind === 'step' && workflow_id !== undefined && intervals.at(-1)?.open)
      steps.set(workflow_id, name ?? `step ${id.slice(-6)}`)
  const actions = new Map<string, string>()
  for (const { kind, name, node_id, intervals } of entities)
    if (kind === 'action' && node_id !== undefined && name !== null && intervals.at(-1)?.open)
      actions.set(node_id, name)
  const nodes: LabNode[] = []
  const workflows: LabWorkflow[] = []
  for (const { kind, id, name, intervals } of entities) {
    const last = intervals.at(-1)
    if (!last || kind === 'step' || kind === 'action') continue
    const place = (time: unknown) => Math.min(1, Math.max(0, (Date.parse(String(time)) - startMs) / hourMs))
    const first = kind === 'node' ? last : intervals[0]!
    const common = {
      id,
      name,
      state: last.state as LabState,
      cause: String(last.cause),
      since: String(first.start_time),
      is_longer: Date.parse(String(first.start_time)) <= startMs,
    }
    if (kind === 'node') {
      const strip = intervals.map(({ state, start_time, end_time }): LabNode['strip'][number] => [
        state as LabState,
        place(start_time),
        place(end_time),
      ])
      nodes.push({ ...common, action: actions.get(id) ?? null, strip: joinNarrow(strip) })
    } else if (last.open) workflows.push({ ...common, step: steps.get(id) ?? null })
  }
  const byName = (a: { name: string | null; id: string }, b: { name: string | null; id: string }) =>
    (a.name ?? a.id).localeCompare(b.name ?? b.id, 'en', { numeric: true })
  return { nodes: nodes.sort(byName), workflows: workflows.sort((a, b) => (a.since < b.since ? -1 : 1)) }
}

// Of the hour's strip, which is some hundred pixels wide.
const narrow = 1 / 400
const severity: { [state in LabState]: number } = { error: 4, down: 3, busy: 2, unknown: 1, idle: 0 }

/** At most 400 pieces; of those that would not be seen beside each other the worst stays. */
function joinNarrow(strip: LabNode['strip']): LabNode['strip'] {
  const joined: LabNode['strip'] = []
  for (const [state, from, to] of strip) {
    const last = joined.at(-1)
    if (!last || (last[0] !== state && last[2] - last[1] >= narrow)) joined.push([state, from, to])
    else {
      if (severity[state] > severity[last[0]]) last[0] = state
      last[2] = to
    }
  }
  return joined
}
