import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventScan, ScannedEvent } from '../../../receiver/src/store/event-scan.ts'
import { createReportEngine } from '../../../receiver/src/utilization/report-engine.ts'

interface Plain {
  id: string
  type: string
  micros: number
  source: { [name: string]: string }
  data: { [name: string]: unknown }
}

const minute = 60_000_000
const begin = Date.UTC(2001, 4, 7) * 1000

function toScanned({ id, type, micros, source, data }: Plain): ScannedEvent {
  return {
    id,
    type,
    micros,
    source: (name) => source[name],
    data: () => data,
    field: (name) => data[name],
  }
}

/** A scan of a list that grows. */
function scanOf(events: readonly Plain[]): EventScan {
  return {
    async read(from, _types, take) {
      const { index } = (from as { index: number } | undefined) ?? { index: 0 }
      for (const event of events.slice(index)) take(toScanned(event))
      return { atMs: 0, index: events.length } as { atMs: number }
    },
    close: async () => {},
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a report is looked into as it is
async function ask(engine: ReturnType<typeof createReportEngine>, parameters: object): Promise<any> {
  const { pieces } = await engine.answer({ report: 'sessions', parameters: parameters as never })
  let text = ''
  for await (const piece of pieces) text += piece
  const report = JSON.parse(text)
  delete report.report_metadata.generated_at
  return report
}

/** Times in whole minutes and no two events at one time: then any order of arrival means the same. */
const histories = fc
  .uniqueArray(fc.integer({ min: 0, max: 1440 }), { minLength: 1, maxLength: 60 })
  .chain((minutes) =>
    fc.tuple(
      fc.constant(minutes),
      fc.array(
        fc.record({
          kind: fc.integer({ min: 0, max: 9 }),
          node: fc.integer({ min: 0, max: 2 }),
          cell: fc.integer({ min: 0, max: 1 }),
          action: fc.integer({ min: 0, max: 3 }),
          experiment: fc.integer({ min: 0, max: 2 }),
        }),
        { minLength: minutes.length, maxLength: minutes.length },
      ),
    ),
  )
  .map(([minutes, parts]) =>
    parts.map(({ kind, node, cell, action, experiment }, index): Plain => {
      const base = { id: `e${index}`, micros: begin + minutes[index]! * minute }
      const nodeSource = { node_id: `node ${node}` }
      const experimentSource = { experiment_id: `experiment ${experiment}` }
      const data = { action_id: `action ${action}`, status: 'running' }
      const ofNode = (type: string, data = {}) => ({ ...base, type, source: nodeSource, data })
      switch (kind) {
        case 0:
          return { ...base, type: 'workcell_start', source: { workcell_id: `cell ${cell}` }, data: {} }
        case 1:
          return { ...base, type: 'workcell_stop', source: { workcell_id: `cell ${cell}` }, data: {} }
        case 2:
          return ofNode('node_start')
        case 3:
          return ofNode('node_stop')
        case 4:
        case 5:
          return ofNode('action_status_change', data)
        case 6:
          return ofNode('action_status_change', { ...data, status: 'failed' })
        case 7:
          return { ...base, type: 'experiment_start', source: experimentSource, data: {} }
        case 8:
          return { ...base, type: 'experiment_complete', source: experimentSource, data: {} }
        default:
          return ofNode('node_status_update')
      }
    }),
  )

/** The same by its definition, minute by minute: no state machine, no merging of periods. */
function reference(events: readonly Plain[], from: number, to: number) {
  const sorted = [...events].sort((a, b) => a.micros - b.micros)
  const within = (start: number, end: number) =>
    sorted.filter(({ micros }) => micros >= start && micros <= end)
  const starts = within(from, to).filter(({ type }) => type === 'workcell_start')
  const spans = starts.map(({ source, micros }) => {
    const later = (type: string, limit: number) =>
      sorted.find(
        (one) =>
          one.type === type &&
          one.source.workcell_id === source.workcell_id &&
          one.micros > micros &&
          one.micros <= limit,
      )?.micros
    return { start: micros, end: later('workcell_stop', to) ?? later('workcell_start', to) ?? to }
  })
  if (spans.length === 0) spans.push({ start: from, end: to })
  return spans.map(({ start, end }) => {
    const inside = within(start, end)
    let active = 0
    const busy = new Map<string, number>()
    for (let at = start; at < end; at += minute) {
      const before = inside.filter(({ micros }) => micros <= at)
      const isActive = [0, 1, 2].some((number) => isRunning(inside, at, `experiment ${number}`))
      if (isActive) active++
      for (const node of new Set(inside.flatMap(({ source }) => source.node_id ?? []))) {
        const stop = before.findLastIndex((one) => one.type === 'node_stop' && one.source.node_id === node)
        const ours = before.slice(stop + 1).filter((one) => one.source.node_id === node && one.data.action_id)
        const last = new Map(ours.map((one) => [one.data.action_id, one.data.status]))
        const isBusy = [...last.values()].includes('running')
        busy.set(node, (busy.get(node) ?? 0) + (isBusy ? 1 : 0))
      }
    }
    const nodes = new Set(inside.flatMap(({ source }) => source.node_id ?? []))
    return {
      minutes: (end - start) / minute,
      active,
      busy: Object.fromEntries([...nodes].sort().map((node) => [node, busy.get(node) ?? 0])),
    }
  })
}

/** Within some start and an end that follows it, each start counting from the last before the end. */
function isRunning(inside: readonly Plain[], at: number, id: string): boolean {
  const ours = inside.filter(({ source }) => source.experiment_id === id)
  const end = inside.length === 0 ? 0 : Number.POSITIVE_INFINITY
  let start: number | undefined
  let isOpen = false
  for (const { type, micros } of ours) {
    if (type === 'experiment_start') {
      start = micros
      isOpen = true
    } else if (start !== undefined) {
      if (start <= at && at < micros) return true
      isOpen = false
    }
  }
  return isOpen && start !== undefined && start <= at && at < end
}

describe('the sessions of generated histories', () => {
  const window = { start_time: '2001-05-07T00:00:00', end_time: '2001-05-08T00:00:00' }
  const to = begin + 1440 * minute

  it('equal a plain count by minutes', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (events) => {
        const report = await ask(createReportEngine(scanOf(events), { timeoutMs: 0 }), window)
        const found = report.session_details.map(
          (session: {
            timing: { duration: { minutes: number }; active_time: { minutes: number } }
            node_utilizations: { [id: string]: { timing: { busy_time: { minutes: number } } } }
          }) => ({
            minutes: session.timing.duration.minutes,
            active: session.timing.active_time.minutes,
            busy: Object.fromEntries(
              Object.entries(session.node_utilizations)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([id, node]) => [id, node.timing.busy_time.minutes]),
            ),
          }),
        )
        expect(found).toEqual(reference(events, begin, to))
      }),
      { numRuns: 150 },
    )
  })

  it('are the same when old rows are dropped, in any order of arrival, whatever the window', async () => {
    const minutes = fc.integer({ min: -10, max: 1450 })
    const toText = (at: number) => new Date((begin + at * minute) / 1000).toISOString()
    const windows = fc.oneof(
      fc.constant({}),
      fc.constant(window),
      fc.tuple(minutes, minutes).map(([a, b]) => ({ start_time: toText(a), end_time: toText(b) })),
    )
    const nearlySorted = fc
      .tuple(histories, fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 60, maxLength: 60 }))
      .map(([events, delays]) =>
        events
          .map((event, index) => ({ event, at: event.micros + delays[index]! * minute }))
          .sort((a, b) => a.at - b.at)
          .map(({ event }) => event),
      )
    const questions = fc.array(fc.tuple(fc.nat(60), windows), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(nearlySorted, histories),
        questions,
        fc.integer({ min: 1, max: 8 }),
        async (arrival, asked, keptRows) => {
          const arrived: Plain[] = []
          const engine = createReportEngine(scanOf(arrived), { timeoutMs: 0, keptRows, allKeptMs: 0 })
          const all = createReportEngine(scanOf(arrived), { timeoutMs: 0 })
          for (const [index, event] of arrival.entries()) {
            arrived.push(event)
            for (const [at, parameters] of asked)
              if (at === index) expect(await ask(engine, parameters)).toEqual(await ask(all, parameters))
          }
          for (const [, parameters] of asked)
            expect(await ask(engine, parameters)).toEqual(await ask(all, parameters))
          expect(await ask(engine, {})).toEqual(await ask(all, {}))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('are the same in any order of arrival, and when reports were asked for in between', async () => {
    const shuffled = histories.chain((events) =>
      fc.tuple(
        fc.constant(events),
        fc.shuffledSubarray(events, { minLength: events.length }),
        fc.array(fc.nat(60), { maxLength: 4 }),
      ),
    )
    await fc.assert(
      fc.asyncProperty(shuffled, async ([events, arrival, pauses]) => {
        const expected = await ask(createReportEngine(scanOf(events), { timeoutMs: 0 }), {})
        const arrived: Plain[] = []
        const engine = createReportEngine(scanOf(arrived), { timeoutMs: 0 })
        for (const [index, event] of arrival.entries()) {
          arrived.push(event)
          if (pauses.includes(index)) await ask(engine, {})
        }
        expect(await ask(engine, {})).toEqual(expected)
      }),
      { numRuns: 150 },
    )
  })
})
