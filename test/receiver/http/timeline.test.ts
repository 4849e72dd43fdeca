import { createEventId, microsToTimestamp } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { historyArbitrary, historyStart } from '../../support/timeline-history.ts'
import { type PlainEvent, plainTimeline } from '../../support/timeline-reference.ts'

interface IntervalRow {
  kind: string
  id: string
  state: string
  cause: string
  start_time: string
  end_time: string
  duration_us: number
  begun_by: string | null
  ended_by: string | null
  open: boolean
}

interface EntityBlock {
  kind: string
  id: string
  totals_us: { [state: string]: number }
  intervals: Omit<IntervalRow, 'kind' | 'id'>[]
}

for (const backend of ['sqlite', 'mongodb'] as const) {
  describe(`the exact reports of utilization over ${backend}`, () => {
    let mongod: Mongod | undefined
    let skipReason = ''
    let receiver: Awaited<ReturnType<typeof startTestReceiver>>
    beforeAll(async () => {
      if (backend !== 'mongodb') return
      const source = await findMongo()
      if ('skip' in source) skipReason = source.skip
      else mongod = await startMongod()
    })
    beforeEach(async (context) => {
      context.skip(skipReason !== '', skipReason)
      receiver = await startTestReceiver({
        flags: mongod ? { document_db_url: mongod.url, database_name: freshDatabaseName() } : {},
      })
      return async () => {
        await receiver.close()
      }
    })
    afterAll(async () => {
      await mongod?.stop()
    })

    async function post(events: readonly PlainEvent[]): Promise<void> {
      const answers = await Promise.all(
        events.map(({ id, type, at, source, data }) =>
          fetch(`${receiver.url}event`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({
              event_id: id,
              event_type: type,
              event_timestamp: microsToTimestamp(at),
              source,
              event_data: data,
            }),
          }),
        ),
      )
      for (const answer of answers) expect(answer.status).toBe(200)
    }
    const get = async (path: string) => {
      const answer = await fetch(`${receiver.url}utilization/${path}`)
      return { status: answer.status, headers: answer.headers, text: await answer.text() }
    }
    // biome-ignore lint/suspicious/noExplicitAny: an answer is looked into as it is
    const getJson = async (path: string): Promise<any> => {
      const { status, text } = await get(path)
      expect(status, text).toBe(200)
      return JSON.parse(text)
    }
    const micros = (text: string) => Date.parse(text) * 1000 + Number(text.slice(-4, -1))

    it('the timeline is that of the plain reference, for whatever arrives in whatever order', async () => {
      const [first, ...rest] = fc.sample(historyArbitrary, { numRuns: 12, seed: 20261124 })
      // One history in one database: ids differ between the samples.
      const events = [first!, ...rest].flat().map((event) => ({ ...event, id: createEventId() }))
      const window = { start: historyStart - 60e6, end: historyStart + 3600e6 }
      const query = `start_time=${microsToTimestamp(window.start)}&end_time=${microsToTimestamp(window.end)}`
      for (const share of [0.5, 0.8, 1]) {
        const known = events.slice(0, Math.ceil(events.length * share))
        // The receiver knows the first of them by now.
        await post(known)
        const rows = (await get(`timeline?format=ndjson&${query}`)).text
          .trim()
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as IntervalRow)
        const expected = [...plainTimeline(known, window).intervals].flatMap(([key, list]) =>
          list.map((one) => JSON.stringify([key, one])),
        )
        const shown = rows.map(({ kind, id, state, cause, start_time, end_time, begun_by, ended_by }) =>
          JSON.stringify([
            `${kind}:${id}`,
            {
              state,
              cause,
              start: micros(start_time),
              end: micros(end_time),
              begunBy: begun_by,
              endedBy: ended_by,
            },
          ]),
        )
        expect(shown.sort()).toEqual(expected.sort())
      }

      // Pages, CSV and NDJSON say the same.
      const whole = (await getJson(`timeline?limit=10000&${query}`)) as { entities: EntityBlock[] }
      const pages: EntityBlock[] = []
      for (let cursor = ''; ; ) {
        const page = await getJson(`timeline?limit=7&cursor=${cursor}&${query}`)
        pages.push(...page.entities)
        expect(page.entities.flatMap(({ intervals }: EntityBlock) => intervals).length).toBeLessThanOrEqual(7)
        if (page.next_cursor === null) break
        cursor = page.next_cursor
      }
      const flat = (blocks: EntityBlock[]) =>
        blocks.flatMap(({ kind, id, totals_us, intervals }) =>
          intervals.map((one) => ({ kind, id, totals_us, ...one })),
        )
      expect(flat(pages)).toEqual(flat(whole.entities))
      const csv = (await get(`timeline?format=csv&${query}`)).text.trim().split('\r\n')
      expect(csv.length - 1).toBe(flat(whole.entities).length)
      for (const { totals_us } of whole.entities) {
        const { wall, ...states } = totals_us
        expect(Object.values(states).reduce((sum, one) => sum + one, 0)).toBe(wall)
      }
    })

    it('a day with a clock change: 23 hours, exact totals, and a late event that corrects them', async () => {
      // 2026-03-08 in Chicago: 02:00 becomes 03:00. The day is from 06:00Z to 05:00Z.
      const at = (text: string) => Date.parse(`2026-03-${text}:00Z`) * 1000
      const node_id = createEventId()
      const workcell_id = createEventId()
      const event = (
        time: string,
        type: string,
        data: { [key: string]: unknown } = {},
        source: { [key: string]: string } = { node_id, workcell_id },
      ): PlainEvent => ({ id: createEventId(), type, at: at(time), source, data })
      const action_id = createEventId()
      await post([
        event('08T06:30', 'workcell_start', { name: 'Chicago' }, { workcell_id }),
        event('08T07:00', 'node_start', { node_name: 'arm' }),
        // Across the change: half an hour by the clock on the wall, half an hour in truth.
        event('08T07:45', 'action_start', { action_id, action_name: 'seal' }),
        event('08T08:15', 'action_complete', { action_id }),
        event('08T10:00', 'node_error', { message: 'jammed' }),
        event('08T10:20', 'node_status_update', { busy: false, errored: false }),
        event('08T20:00', 'node_stop'),
      ])
      const day = 'start_time=2026-03-08&end_time=2026-03-09&zone=America/Chicago'
      const summary = await getJson(`summary?by=node&bucket=hour&${day}`)
      const [arm] = summary.items
      const hour = 3600e6
      expect(summary.report_metadata).toMatchObject({
        start_time: '2026-03-08T00:00:00.000000-06:00',
        end_time: '2026-03-09T00:00:00.000000-05:00',
        wall_us: 23 * hour,
      })
      expect(arm).toMatchObject({ id: node_id, name: 'arm' })
      expect(arm.totals_us).toEqual({
        unknown: hour,
        idle: 12 * hour + hour / 6,
        busy: hour / 2,
        error: hour / 3,
        down: 9 * hour,
        wall: 23 * hour,
      })
      expect(arm.failures).toEqual({
        failures: 1,
        mtbf_seconds: 12.5 * 3600 + 600 + 0,
        repairs: 1,
        mttr_seconds: 1200,
      })
      expect(arm.utilization_percent).toBe(2.27)
      expect(arm.runs).toMatchObject({ total: 1, completed: 1, open: 0 })
      expect(arm.run).toMatchObject({ count: 1, p50_seconds: 1800, p99_seconds: 1800 })
      expect(arm.buckets.length).toBe(23)
      expect(
        arm.buckets.map((one: { start_time: string }) => one.start_time.slice(11, 16)).slice(0, 4),
      ).toEqual(['00:00', '01:00', '03:00', '04:00'])
      expect(arm.buckets[1].totals_us.busy + arm.buckets[2].totals_us.busy).toBe(hour / 2)
      const days = await getJson(
        'summary?by=workcell&bucket=day&start_time=2026-03-07&end_time=2026-03-10&zone=America/Chicago',
      )
      expect(
        days.items[0].buckets.map((one: { totals_us: { wall: number } }) => one.totals_us.wall / hour),
      ).toEqual([24, 23, 24])

      await post([event('08T08:05', 'action_failed', { action_id })])
      const [corrected] = (await getJson(`summary?by=node&${day}`)).items
      expect(corrected.totals_us.busy).toBe(hour / 3)
      expect(corrected.runs).toMatchObject({ completed: 0, failed: 1 })
    })

    it('a clock that was set back leaves nothing busy for ever, and is told of', async () => {
      const node_id = createEventId()
      const action_id = createEventId()
      const at = Date.UTC(2026, 5, 1, 10) * 1000
      const [start, end] = [createEventId(), createEventId()]
      await post([
        { id: start, type: 'action_start', at, source: { node_id }, data: { action_id } },
        // Really ten minutes later, by a clock that went back an hour.
        { id: end, type: 'action_complete', at: at - 3000e6, source: { node_id }, data: { action_id } },
      ])
      const answer = await getJson(
        'timeline?kind=node&start_time=2026-06-01T09:00Z&end_time=2026-06-01T11:00Z',
      )
      expect(answer.entities[0].totals_us.busy).toBe(0)
      expect(answer.notices.start_after_end).toMatchObject({ count: 1, event_ids: [start] })
      expect(answer.notices.end_without_start).toMatchObject({ count: 1, event_ids: [end] })
    })

    it('tells what waited for what', async () => {
      const [node_id, workcell_id] = [createEventId(), createEventId()]
      const at = (minute: number) => Date.UTC(2026, 5, 1, 10, minute) * 1000
      const events: PlainEvent[] = []
      const say = (minute: number, type: string, source: { [key: string]: string }, data = {}) =>
        events.push({ id: createEventId(), type, at: at(minute), source: { workcell_id, ...source }, data })
      const life = (queued: number, begin: number, finish: number, author: string) => {
        const ids = { workflow_id: createEventId(), step_id: createEventId() }
        const { step_id: _, ...own } = ids
        const action_id = createEventId()
        say(queued, 'workflow_start', own, { author, name: 'assay', status: { running: false } })
        say(begin, 'workflow_step_start', ids, { step: 'seal' })
        say(begin + 1, 'action_start', { ...ids, node_id }, { action_id })
        say(finish, 'action_complete', { ...ids, node_id }, { action_id })
        say(finish, 'workflow_step_complete', ids)
        say(finish, 'workflow_complete', own, { status: 'completed' })
        return { ...ids, action_id }
      }
      say(0, 'node_start', { node_id }, { node_name: 'sealer' })
      const first = life(1, 2, 20, 'ada')
      const second = life(3, 20, 30, 'grace')
      await post(events)
      const query = 'start_time=2026-06-01T10:00Z&end_time=2026-06-01T11:00Z'
      const { waits, total_waits, wait_us_by_node } = await getJson(`waits?${query}`)
      expect(total_waits).toBe(4)
      expect(wait_us_by_node).toEqual({ [node_id]: 20 * 60e6 })
      expect(waits[0]).toMatchObject({
        reason: 'queued',
        waiter_id: second.workflow_id,
        node_id,
        node_name: 'sealer',
        wait_us: 17 * 60e6,
        node_busy_us: 17 * 60e6,
        held_by: first.action_id,
        held_by_workflows: first.workflow_id,
      })
      const byUser = (await getJson(`summary?by=user&${query}`)).items
      expect(
        byUser.map(({ id, queue, run }: { id: string; queue: object; run: object }) => ({ id, queue, run })),
      ).toMatchObject([
        { id: 'ada', queue: { p50_seconds: 60 }, run: { p50_seconds: 18 * 60 } },
        { id: 'grace', queue: { p50_seconds: 17 * 60 }, run: { p50_seconds: 600 } },
      ])
      const [assay] = (await getJson(`summary?by=workflow_type&${query}`)).items
      expect(assay).toMatchObject({
        id: 'assay',
        runs: { total: 2, completed: 2 },
        queue: { p50_seconds: 60, p99_seconds: 17 * 60 },
        node_busy_us: 26 * 60e6,
      })
      const mine = await getJson(`timeline?user=grace&${query}`)
      expect(mine.entities.map(({ kind }: { kind: string }) => kind)).toEqual(['workflow', 'step', 'action'])
    })

    it('bad parameters are a 422 that names them all; an empty database has an empty timeline', async () => {
      const { status, text } = await get(
        'summary?start_time=soon&zone=Mars/Olympus&by=planet&bucket=year&format=xml&limit=0',
      )
      expect(status).toBe(422)
      const { detail } = JSON.parse(text) as { detail: { loc: string[] }[] }
      expect(detail.map(({ loc }) => loc[1]).sort()).toEqual([
        'bucket',
        'by',
        'format',
        'limit',
        'start_time',
        'zone',
      ])
      expect((await get('timeline?cursor=nonsense')).status).toBe(422)
      expect((await get('timeline?start_time=2026-01-02&end_time=2026-01-01')).status).toBe(422)
      expect((await get('timeline?kind=spaceship')).status).toBe(422)
      expect((await get('summary?bucket=hour&start_time=1990-01-01&end_time=2026-01-01')).status).toBe(422)

      expect(await getJson('timeline')).toMatchObject({ entities: [], next_cursor: null })
      expect((await get('timeline?format=ndjson')).text).toBe('')
      expect((await getJson('waits')).waits).toEqual([])
    })
  })
}
