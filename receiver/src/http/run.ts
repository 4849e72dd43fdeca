import { EventError, invalid, toTimestamp, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Alerts } from '../alert/alerts.ts'
import { findNames } from '../search/name.ts'
import type { EventStore, FindOptions, StoredEvent } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import { anyPath, subjects } from '../subject.ts'
import type { Utilization } from '../utilization/thread.ts'
import type { TimelineEntity } from '../utilization/timeline/timeline.ts'
import { sendJson } from './answer.ts'
import { findOptionsOf } from './find-options.ts'
import { type SendPage, sendPageTo } from './pages.ts'
import { createParameters } from './parameter.ts'
import type { RunAlert, RunAnswer, RunKind, RunsAnswer, RunWait } from './run-answer.ts'
import { createRunFold, toRunRows, toRunSummary } from './run-fold.ts'
import { runSchemas } from './run-schema.ts'

export interface RunDoorOptions {
  store: EventStore
  utilization: Utilization
  alerts: Alerts | undefined
  queryTimeoutMs: number
}

const kinds: readonly RunKind[] = ['experiment', 'workflow']
const maxRows = 300
const maxWaits = 20
const maxWorkflows = 500
const maxAlerts = 1000
const reportPages = 20
/** What a run says is looked for this long before it began and after it ended, by clocks that differ. */
const slackMs = 60_000

/** GET /runs and GET /run/{kind}/{id}: the black box of an experiment or a workflow. A browser gets a page. */
export function registerRuns(
  app: FastifyInstance,
  options: RunDoorOptions,
  sendPage: SendPage | undefined,
): void {
  app.get('/runs', { schema: runSchemas.runs }, async (request, reply) => {
    const page = sendPageTo(request, reply, sendPage)
    if (page) return page
    const parameters = createParameters(request.query)
    const number = parameters.integer('number', 200, 1, 1000)
    const start = parameters.text('start_time')
    parameters.check()
    return sendJson(reply, await readRuns(options.utilization, number, start))
  })

  app.get('/run/:kind/:id', { schema: runSchemas.run }, async (request, reply) => {
    const page = sendPageTo(request, reply, sendPage)
    if (page) return page
    const { kind: given, id } = request.params as { kind: string; id: string }
    const kind = kinds.find((one) => one === given)
    if (kind === undefined) {
      const msg = `Input should be ${kinds.map((one) => `'${one}'`).join(' or ')}`
      throw invalid([{ type: 'enum', loc: ['path', 'kind'], msg, input: given }])
    }
    return sendJson(reply, await readRun(options, { kind, id }, findOptionsOf(request, reply)))
  })
}

type Parameters = { [name: string]: string }

async function askJson<Answer>(utilization: Utilization, report: string, parameters: Parameters) {
  const { pieces } = await utilization.ask({ report, parameters })
  let text = ''
  for await (const piece of pieces) text += piece
  return JSON.parse(text) as Answer
}

/** All pages of a timeline, as far as anybody can look at them. */
async function readTimeline(utilization: Utilization, parameters: Parameters) {
  const entities = new Map<string, TimelineEntity>()
  let cursor: string | null | undefined
  for (let page = 0; page < reportPages && cursor !== null; page++) {
    const answer: { entities: TimelineEntity[]; next_cursor?: string | null } = await askJson(
      utilization,
      'timeline',
      { ...parameters, limit: '10000', ...(cursor && { cursor }) },
    )
    for (const entity of answer.entities) {
      const key = `${entity.kind}:${entity.id}`
      const known = entities.get(key)
      if (known) known.intervals.push(...entity.intervals)
      else entities.set(key, entity)
    }
    cursor = answer.next_cursor ?? null
  }
  return { entities: [...entities.values()], isCut: cursor !== null }
}

async function readRuns(
  utilization: Utilization,
  number: number,
  start: string | undefined,
): Promise<RunsAnswer> {
  const now = new Date().toISOString()
  const { entities, isCut } = await readTimeline(utilization, {
    kind: kinds.join(','),
    ...(start !== undefined && { start_time: start, end_time: now }),
  })
  const runs = entities
    .map(toRunSummary)
    .sort((a, b) =>
      a.start_time > b.start_time ? -1 : a.start_time < b.start_time ? 1 : a.id < b.id ? -1 : 1,
    )
  return { now, runs: runs.slice(0, number), is_cut: isCut || runs.length > number }
}

async function readRun(
  { store, utilization, alerts, queryTimeoutMs }: RunDoorOptions,
  { kind, id }: { kind: RunKind; id: string },
  find: FindOptions,
): Promise<RunAnswer> {
  const now = new Date().toISOString()
  const { entities, isCut } = await readTimeline(utilization, { [`${kind}_id`]: id })
  const own = entities.find((one) => one.kind === kind && one.id === id)
  if (!own) throw new EventError('EVT_NOT_FOUND', `No ${kind} with ID ${id} was heard of`)
  const cuts: string[] = isCut ? ['the timeline has more intervals than are read'] : []
  const summary = toRunSummary(own)
  const nodeIds = [...new Set(entities.flatMap(({ node_id }) => node_id ?? []))]
  const nodeNames = await findNames(store, { kind: 'node', ids: nodeIds }, find)
  const rows = toRunRows(entities, own, nodeNames)
  if (rows.length > maxRows) cuts.push(`${rows.length - maxRows} more steps and actions`)
  const workflows = entities.flatMap((one) => (one.kind === 'workflow' && one !== own ? [one.id] : []))
  if (workflows.length > maxWorkflows)
    cuts.push(`events of ${workflows.length - maxWorkflows} more workflows`)
  const fold = createRunFold(entities, own)
  const query = {
    selector: parseSelector(selectorOf(kind, id, workflows.slice(0, maxWorkflows))),
    startTime: timestampOf(Date.parse(summary.start_time) - slackMs),
    endTime: timestampOf(Date.parse(summary.end_time) + slackMs),
    archived: 'include',
    order: 'oldest',
    limit: 0,
    offset: 0,
    timeoutMs: queryTimeoutMs,
  } as const
  try {
    for await (const chunk of store.find(query, find))
      for (const event of chunk as StoredEvent[]) fold.take(event)
  } catch (error) {
    if (!(error instanceof EventError) || error.code !== 'EVT_QUERY_TIMEOUT') throw error
    cuts.push('later events: reading them took longer than query_timeout_ms')
  }
  const { eventIds, ...told } = fold.end(cuts)
  return {
    ...summary,
    now,
    rows: rows.slice(0, maxRows),
    ...told,
    waits: await readWaits(utilization, `${kind}_id`, id),
    alerts: alerts ? await readAlerts(alerts, eventIds, summary.start_time) : null,
    cuts,
  }
}

const timestampOf = (ms: number) => toTimestamp(BigInt(Math.round(ms)) * 1_000_000n)

/** Events of a run, and of the workflows of an experiment, which do not all name it. */
function selectorOf(kind: RunKind, id: string, workflows: readonly string[]): Value {
  const paths = (one: RunKind) => [subjects[one].id, ...subjects[one].otherIds]
  const all = anyPath(id, paths(kind))
  if (workflows.length > 0) all.push(...anyPath({ $in: [...workflows] }, paths('workflow')))
  return { $or: all }
}

interface WaitRow {
  reason: string
  waiter_kind: string
  waiter_id: string
  waiter_name: string | null
  start_time: string
  wait_us: number
  open: boolean
  node_id: string | null
  node_name: string | null
}

async function readWaits(utilization: Utilization, name: string, id: string): Promise<RunWait[]> {
  const { waits } = await askJson<{ waits: WaitRow[] }>(utilization, 'waits', {
    [name]: id,
    limit: String(maxWaits),
  })
  return waits.map((wait) => ({
    reason: wait.reason,
    waiter: `${wait.waiter_kind} ${wait.waiter_name ?? wait.waiter_id}`,
    start_time: wait.start_time,
    wait_us: wait.wait_us,
    is_open: wait.open,
    node: wait.node_name ?? wait.node_id,
  }))
}

interface AlertJson {
  log_level: number
  why: string
  first_event_ids: string[]
  last_event_id: string | null
}

/** Alerts that an event of the run had a part in: of the newest, those since it began. */
async function readAlerts(
  { store }: Alerts,
  eventIds: ReadonlySet<string>,
  startTime: string,
): Promise<RunAlert[]> {
  const found = await store.find({ limit: maxAlerts })
  return found.flatMap(({ id, rule, state, openedMs, json }) => {
    const { log_level: level, why, first_event_ids, last_event_id } = JSON.parse(json) as AlertJson
    const ids = last_event_id === null ? first_event_ids : [...first_event_ids, last_event_id]
    if (openedMs < Date.parse(startTime) - slackMs || !ids.some((one) => eventIds.has(one))) return []
    return [{ id, rule, state, level, why, opened_at: new Date(openedMs).toISOString() }]
  })
}
