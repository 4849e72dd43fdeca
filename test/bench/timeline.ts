// What do the exact timeline and its summary cost over a million events, cold, warm and corrected, beside a bare scan of the same documents?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createEventId, type Event, type EventType, microsToTimestamp } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { silentLog } from '../../receiver/src/log.ts'
import type { EventStore } from '../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../receiver/src/store/mongo/event-store.ts'
import { openScan } from '../../receiver/src/store/scan.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import type { Engine } from '../../receiver/src/utilization/engine.ts'
import { createTimelineEngine } from '../../receiver/src/utilization/timeline/timeline-engine.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { createRandom } from '../support/workload.ts'
import { type Bench, createReport, median, type Report } from './figure.ts'

type Sheet = Report & ReturnType<typeof createReport>

const mix =
  '40 % status updates, 20 % actions, 5 % workflows and steps, 35 % logs, one in ten of them a typed event'
const startMicros = Date.UTC(2026, 0, 5, 8) * 1000
/** Between two events. */
const stepMicros = 400_000
const batchEvents = 2000

/** A laboratory of twelve nodes that run actions for workflows, in order of time. */
export function* makeHistory(count: number): Generator<Event[]> {
  const random = createRandom(7)
  const workcell_id = createEventId()
  const nodes = Array.from({ length: 12 }, () => ({ node_id: createEventId(), action_id: '' }))
  const workflows: { workflow_id: string; step_id: string }[] = []
  const comment =
    'aspirate, dispense, mix three times, blow out; all wells of the plate were read before and after'
  let micros = startMicros
  const make = (event_type: EventType, source: Event['source'], event_data: Event['event_data']): Event => ({
    event_id: createEventId(),
    event_type,
    log_level: 20,
    alert: false,
    event_timestamp: microsToTimestamp(micros),
    source: { workcell_id, ...source },
    event_data,
    trace_id: null,
    span_id: null,
    archived: false,
    archived_at: null,
  })

  function any(): Event {
    const kind = random()
    const node = nodes[Math.floor(random() * nodes.length)]!
    const { node_id } = node
    if (kind < 0.4) {
      const flags = {
        busy: node.action_id !== '',
        paused: false,
        locked: false,
        errored: false,
        stopped: false,
      }
      const running_actions = node.action_id === '' ? [] : [node.action_id]
      const config_values = { host: '10.0.0.7', port: 2000, calibration: [0.12, 0.98, 1.44], comment }
      return make('node_status_update', { node_id }, { ...flags, running_actions, errors: [], config_values })
    }
    if (kind < 0.6) {
      const isStart = node.action_id === ''
      if (isStart) node.action_id = createEventId()
      const { action_id } = node
      if (!isStart) node.action_id = ''
      const data = {
        action_id,
        action_name: 'transfer',
        args: { from: 'A1', to: 'B3', volume_ul: 12.5 },
        comment,
      }
      const workflow = workflows[0]
      const failed = !isStart && random() < 0.03
      return make(
        isStart ? 'action_start' : failed ? 'action_failed' : 'action_complete',
        { node_id, ...workflow },
        data,
      )
    }
    if (kind < 0.65) {
      const workflow = workflows[0]
      if (workflow && workflow.step_id !== '' && random() < 0.7) {
        const ids = { ...workflow }
        workflow.step_id = ''
        return make('workflow_step_complete', ids, { step: 'transfer', duration_seconds: 3.25, comment })
      }
      if (workflow && random() < 0.6) {
        workflow.step_id = createEventId()
        return make('workflow_step_start', { ...workflow }, { step: 'transfer', node: node_id, comment })
      }
      const isEnd = workflows.length > 4
      const workflow_id = isEnd ? workflows.shift()!.workflow_id : createEventId()
      if (!isEnd) workflows.push({ workflow_id, step_id: '' })
      const data = { workflow_id, name: 'plate assay', author: 'ada', status: 'completed', comment }
      return make(isEnd ? 'workflow_complete' : 'workflow_start', { workflow_id }, data)
    }
    const data = {
      message: `Transferred ${Math.floor(random() * 200)} ul; ${comment}`,
      well: 17,
      operator: 'ada',
    }
    return make(
      'log_info',
      { node_id },
      random() < 0.1 ? { ...data, event_type: 'node_status_update', busy: false } : data,
    )
  }

  let batch: Event[] = nodes.map(({ node_id }) =>
    make('node_start', { node_id }, { node_name: node_id.slice(-4) }),
  )
  for (let made = batch.length; made < count; made++) {
    micros += stepMicros
    batch.push(any())
    if (batch.length < batchEvents) continue
    yield batch
    batch = []
  }
  yield batch
}

interface Place {
  name: string
  store: EventStore
  /** Reads every document as the driver gives it; their number. */
  scanBare(): Promise<number>
}

async function fill(store: EventStore, count: number): Promise<void> {
  const writing: Promise<unknown>[] = []
  for (const batch of makeHistory(count)) {
    writing.push(store.write(batch))
    if (writing.length >= store.writeConcurrency) await writing.shift()
  }
  await Promise.all(writing)
}

async function timed<Result>(work: () => Promise<Result>): Promise<[ms: number, result: Result]> {
  const startedMs = performance.now()
  const result = await work()
  return [performance.now() - startedMs, result]
}

interface Answer {
  items: { totals_us: { [state: string]: number }; runs: { total: number } }[]
  report_metadata: { wall_us: number }
}

async function ask(
  engine: Engine,
  report: string,
  parameters: { [name: string]: string } = {},
): Promise<Answer> {
  let text = ''
  for await (const piece of (await engine.answer({ report, parameters })).pieces) text += piece
  return JSON.parse(text) as Answer
}

/** Throws when the answer is not that of the history. */
function check({ items, report_metadata }: Answer): void {
  if (items.length !== 12) throw new Error(`${items.length} nodes`)
  for (const { totals_us, runs } of items) {
    const { wall, ...states } = totals_us
    const sum = Object.values(states).reduce((total, one) => total + one, 0)
    if (sum !== wall || wall !== report_metadata.wall_us) throw new Error('time was lost or won')
    if (!states.busy || runs.total === 0) throw new Error('a node did nothing')
  }
}

async function measure(sheet: Sheet, { name, store, scanBare }: Place, count: number): Promise<void> {
  const [bareMs, seen] = await timed(scanBare)
  if (seen < count) throw new Error(`the bare scan saw ${seen} of ${count}`)
  const noOriginal: Engine = { reports: [], answer: () => Promise.reject(new Error('not asked')) }
  globalThis.gc?.()
  const heapBefore = process.memoryUsage().heapUsed
  const scan = openScan(store.scanSource)
  const engine = createTimelineEngine(scan, noOriginal)
  try {
    const [coldMs, cold] = await timed(() => ask(engine, 'summary'))
    check(cold)
    globalThis.gc?.()
    const heapMb = (process.memoryUsage().heapUsed - heapBefore) / 1e6
    const warm: number[] = []
    const page: number[] = []
    for (let round = 0; round < 5; round++) {
      const [ms, again] = await timed(() => ask(engine, 'summary'))
      check(again)
      warm.push(ms)
      page.push((await timed(() => ask(engine, 'timeline', { kind: 'node', limit: '1000' })))[0])
    }
    const more = [...makeHistory(batchEvents)][0]!
    const put = async (offsetMicros: number) => {
      const events = more.slice(-500).map((event, index) => ({
        ...event,
        event_id: createEventId(),
        event_timestamp: microsToTimestamp(startMicros + offsetMicros + index * 1000),
      }))
      await store.write(events)
      return (await timed(() => ask(engine, 'summary')))[0]
    }
    const lengthMicros = count * stepMicros
    const grownMs = await put(lengthMicros + 60e6)
    const lateMs = await put(Math.max(0, lengthMicros - 3600e6))
    sheet.note(`${name}: bare scan by the driver`, bareMs, 'ms')
    sheet.note(`${name}: summary of all nodes, cold`, coldMs, 'ms')
    sheet.note(`${name}: cold / bare scan`, coldMs / bareMs, '×')
    sheet.note(`${name}: summary, warm`, median(warm), 'ms')
    sheet.note(`${name}: 1,000 intervals of the timeline, warm`, median(page), 'ms')
    sheet.note(`${name}: summary after 500 new events`, grownMs, 'ms')
    sheet.note(`${name}: summary after 500 events that come an hour late`, lateMs, 'ms')
    if (globalThis.gc) sheet.note(`${name}: heap that the engine keeps`, heapMb, 'MB')
  } finally {
    await scan.close()
  }
}

export const timelineBench: Bench = {
  question: `What do the exact timeline and its summary cost over a million events (${mix})?`,
  async run(scale) {
    const sheet = createReport(timelineBench.question)
    const count = Math.max(4000, Math.round(1_000_000 * scale))
    sheet.note('events', count, '')
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    try {
      const path = join(folder, 'events.db')
      const store = await openSqliteStore({ path, synchronous: 'off', log: silentLog })
      await fill(store, count)
      const scanBare = async () => {
        const database = new DatabaseSync(path, { readOnly: true })
        let seen = 0
        for (const row of database.prepare('SELECT id, document FROM events').iterate())
          if ((row.document as string).length > 0) seen++
        database.close()
        return seen
      }
      await measure(sheet, { name: 'SQLite', store, scanBare }, count)
      await store.close()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    const source = await findMongo()
    if ('skip' in source) {
      sheet.skipped.push(source.skip)
      return sheet
    }
    const mongod = await startMongod()
    const client = new MongoClient(mongod.url)
    try {
      const databaseName = freshDatabaseName()
      const store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog })
      await fill(store, count)
      const scanBare = async () => {
        let seen = 0
        for await (const document of client.db(databaseName).collection('events').find())
          if (document._id) seen++
        return seen
      }
      await measure(sheet, { name: 'MongoDB', store, scanBare }, count)
      await store.close()
    } finally {
      await client.close()
      await mongod.stop()
    }
    return sheet
  },
}
