import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClockLine,
  findMadsci,
  findManager,
  type Lab,
  openTee,
  startLab,
  waitForClock,
} from '../support/lab.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'

const ada = '01ACCADA000000000000000001'
const ben = '01ACCBEN000000000000000002'
const names = [
  ['arm', 'reader'],
  ['oven', 'hood'],
] as const

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into as they are
type Answer = any
interface Document {
  event_type: string
  event_timestamp: string
  source: { [id: string]: string }
  event_data: { [key: string]: Answer }
}

const cleanups: (() => unknown)[] = []
let skip: string | undefined
let lab: Lab
let killedAt: number
let begun: number
let ended: number
const stores: { name: string; get: (path: string) => Promise<Answer> }[] = []

/** One laboratory, whose every event goes to a receiver on each store. */
beforeAll(async () => {
  const python = findMadsci()
  if ('skip' in python) {
    skip = python.skip
    return
  }
  const manager = findManager()
  if ('skip' in manager) {
    skip = manager.skip
    return
  }
  const urls: string[] = []
  for (const name of ['sqlite', 'mongodb'] as const) {
    const store = await prepareStore(name)
    if ('skip' in store) {
      skip = store.skip
      return
    }
    cleanups.push(store.stop)
    const receiver = await startTestReceiver({ flags: store.flags })
    cleanups.push(() => receiver.close())
    urls.push(receiver.url)
    stores.push({ name, get: async (path) => (await fetch(receiver.url + path)).json() })
  }
  const tee = await openTee(urls)
  cleanups.push(() => tee.close())
  const folder = await mkdtemp(join(tmpdir(), 'madsci-lab-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  begun = Date.now()
  lab = await startLab({
    python: python.python,
    manager: manager.path,
    folder,
    eventUrl: tee.url,
    workcells: names,
  })
  cleanups.push(() => lab.stop())

  const growth = lab.runExperiment(0, 'growth', ada, [
    {
      name: 'wash',
      steps: [
        { node: 'arm', action: 'move', args: { seconds: 0.3 } },
        { node: 'reader', action: 'move', args: { seconds: 1.6 } },
      ],
    },
    {
      name: 'spill',
      steps: [
        { node: 'reader', action: 'move', args: { seconds: 0.2 } },
        { node: 'arm', action: 'drop', args: { seconds: 0.5 } },
        { node: 'arm', action: 'move', args: { seconds: 0.3 } },
      ],
    },
  ])
  const assay = lab.runExperiment(1, 'assay', ben, [
    { name: 'bake', steps: [{ node: 'oven', action: 'move', args: { seconds: 15 } }] },
    { name: 'soak', cancel_when: 'hood', steps: [{ node: 'hood', action: 'hold', args: { seconds: 20 } }] },
    { name: 'late', cancel_when: 'hood', steps: [{ node: 'hood', action: 'move', args: { seconds: 0.2 } }] },
  ])
  const over = Promise.all([growth, assay])
  const kill = async () => {
    await waitForClock(lab, (lines) => lines.find(({ node }) => node === 'oven'))
    await sleep(1000)
    killedAt = lab.kill('oven')
  }
  await Promise.all([over, kill()])
  await sleep(1000)
  ended = Date.now()
}, 300_000)
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const toSeconds = (text: string) =>
  Date.parse(text) / 1000 + Number(text.slice(23).replace('Z', '') || 0) / 1e6
const iso = (ms: number) => new Date(ms).toISOString()
const window = () => `start_time=${iso(begun)}&end_time=${iso(ended)}`
const count = (lines: ClockLine[], node: string) =>
  lines.filter((line) => line.node === node && line.what === 'begin').length

describe('a laboratory of MADSci’s own programs: two workcells, two experiments of two users, a node that dies', () => {
  for (const index of [0, 1]) {
    const on = ['sqlite', 'mongodb'][index]!

    it(`what its nodes did, on ${on}: the busy time of their own events, each run once, as the clock says`, async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const { get } = stores[index]!
      const { items } = await get(`utilization/summary?by=node&${window()}`)
      expect(items.map(({ name }: Answer) => name).sort()).toEqual(names.flat().sort())
      const { entities } = await get(`utilization/timeline?kind=action&limit=10000&${window()}`)
      const own = ownRuns(Object.values((await get('events?number=0')) as { [id: string]: Document }))
      const clock = lab.clock()
      for (const { id, name, totals_us, runs } of items) {
        const spoken = own.filter((run) => run.node === id && run.end !== undefined)
        const micros = spoken.reduce((sum, { start, end }) => sum + end! - start, 0) * 1e6
        if (name === 'oven') continue
        expect(Math.abs(totals_us.busy - micros), name).toBeLessThan(1000)
        expect([runs.total, runs.open, runs.unknown], name).toEqual([count(clock, name), 0, 0])
        const truth = clock.filter(({ node }) => node === name)
        for (const [place, run] of spoken.entries()) {
          const [start, end] = [truth[place * 2]!, truth[place * 2 + 1]!]
          expect(Math.abs(start.at - run.start), name).toBeLessThan(0.5)
          expect(Math.abs(end.at - start.at - (run.end! - run.start)), name).toBeLessThan(0.5)
          const entity = entities.find((one: Answer) => one.id === run.action)
          expect([entity.outcome, name]).toEqual([end.what === 'succeeded' ? 'completed' : end.what, name])
        }
        expect(spoken).toHaveLength(count(clock, name))
      }
      expect(entities).toHaveLength(clock.filter(({ what }) => what === 'begin').length)
    })

    it(`the node that died, on ${on}: down, its run over with an unknown outcome`, async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const { get } = stores[index]!
      const { items } = await get(`utilization/summary?by=node&${window()}`)
      const oven = items.find(({ name }: Answer) => name === 'oven')
      expect(oven.runs).toEqual({ total: 1, completed: 0, failed: 0, cancelled: 0, unknown: 1, open: 0 })
      const { entities } = await get(
        `utilization/timeline?kind=node&limit=10000&node_id=${oven.id}&${window()}`,
      )
      const intervals = entities[0].intervals
      expect(intervals.map(({ state, cause }: Answer) => `${state} ${cause}`)).toEqual([
        'unknown unheard',
        'idle ready',
        'busy running',
        'down disconnected',
      ])
      const [, , busy] = intervals
      const start = lab.clock().find(({ node }) => node === 'oven')!.at
      expect(Math.abs(toSeconds(busy.start_time) - start)).toBeLessThan(0.5)
      // The workcell notices it when it asks the next time.
      expect(toSeconds(busy.end_time)).toBeGreaterThan(killedAt - 0.5)
      expect(toSeconds(busy.end_time)).toBeLessThan(killedAt + 10)
    })

    it(`workflows and experiments, on ${on}: their outcomes, users and runs, and nothing open`, async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const { get } = stores[index]!
      const { entities } = await get(`utilization/timeline?limit=10000&${window()}`)
      const outcomes = (kind: string) =>
        Object.fromEntries(
          entities.filter((one: Answer) => one.kind === kind).map((one: Answer) => [one.name, one.outcome]),
        )
      expect(outcomes('workflow')).toEqual({
        wash: 'completed',
        spill: 'failed',
        bake: 'failed',
        soak: 'cancelled',
        // Nothing tells that it was cancelled in the queue: its experiment ended without it.
        late: 'unknown',
      })
      expect(outcomes('experiment')).toEqual({ growth: 'completed', assay: 'completed' })
      const open = entities.filter(
        ({ kind, intervals }: Answer) =>
          !['lab', 'workcell', 'node'].includes(kind) && intervals.some((one: Answer) => one.open),
      )
      expect(open).toEqual([])
      for (const { totals_us } of entities) {
        const { wall, ...each } = totals_us
        expect(Object.values<number>(each).reduce((sum, one) => sum + one, 0)).toBe(wall)
      }
      const by = async (what: string) =>
        (await get(`utilization/summary?by=${what}&${window()}`)).items.map(({ id, name, runs }: Answer) => [
          what === 'user' ? id : name,
          runs.total,
          runs.failed,
          runs.cancelled,
        ])
      expect((await by('user')).sort()).toEqual([
        [ada, 2, 1, 0],
        [ben, 3, 1, 1],
      ])
      expect((await by('experiment')).sort()).toEqual([
        ['assay', 3, 1, 1],
        ['growth', 2, 1, 0],
      ])
    })

    it(`waits, on ${on}: each is over, and as long as the events say`, async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const { get } = stores[index]!
      const { waits } = await get(`utilization/waits?limit=1000&${window()}`)
      expect(waits.filter(({ open }: Answer) => open)).toEqual([])
      const documents = Object.values((await get('events?number=0')) as { [id: string]: Document })
      for (const name of ['wash', 'spill', 'bake']) {
        const queued = documents.find(
          ({ event_data }) =>
            event_data.message === 'Workflow start successful' && event_data.workflow_name === name,
        )!
        const { workflow_id } = queued.event_data
        const steps = documents.filter(
          ({ event_data }) =>
            event_data.message === 'Running workflow step' && event_data.workflow_id === workflow_id,
        )
        const first = Math.min(...steps.map(({ event_timestamp }) => toSeconds(`${event_timestamp}Z`)))
        const wait = waits.find((one: Answer) => one.reason === 'queued' && one.workflow_id === workflow_id)
        const seconds = first - toSeconds(`${queued.event_timestamp}Z`)
        expect(Math.abs(wait.wait_us / 1e6 - seconds), name).toBeLessThan(0.001)
      }
    })
  }

  it('both stores say the same', async (context) => {
    if (skip !== undefined) return context.skip(skip)
    for (const path of [
      'timeline?limit=10000',
      'summary?by=node',
      'summary?by=experiment',
      'waits?limit=1000',
    ]) {
      const [one, other] = await Promise.all(stores.map(({ get }) => get(`utilization/${path}&${window()}`)))
      delete one.report_metadata
      delete other.report_metadata
      expect(other).toEqual(one)
    }
  })
})

interface OwnRun {
  node: string
  action: string
  start: number
  end: number | undefined
}

/** What the nodes say of themselves, and nobody else. */
function ownRuns(documents: Document[]): OwnRun[] {
  const runs = new Map<string, OwnRun>()
  const told = documents
    .filter(
      ({ event_data, source }) => event_data.action_result !== undefined && source.node_id !== undefined,
    )
    .sort((a, b) => (a.event_timestamp < b.event_timestamp ? -1 : 1))
  for (const { event_timestamp, source, event_data } of told) {
    const { action_id, status } = event_data.action_result
    const at = toSeconds(`${event_timestamp}Z`)
    const run = runs.get(action_id)
    if (status === 'running')
      runs.set(action_id, run ?? { node: source.node_id!, action: action_id, start: at, end: undefined })
    else if (run && ['succeeded', 'failed', 'cancelled'].includes(status)) run.end ??= at
  }
  return [...runs.values()]
}
