import { createEventId, microsToTimestamp } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { coarsen, type TimelineColumns } from '../../../receiver/src/utilization/timeline/column.ts'
import { buildPages } from '../../support/pages.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { historyArbitrary, historyStart } from '../../support/timeline-history.ts'

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
const window = `start_time=${microsToTimestamp(historyStart - 60e6)}&end_time=${microsToTimestamp(historyStart + 3600e6)}`
beforeAll(async () => {
  buildPages({ ifAbsent: true })
  receiver = await startTestReceiver()
  const events = fc.sample(historyArbitrary, { numRuns: 8, seed: 20261127 }).flat()
  for (const { type, at, source, data } of events) {
    const answer = await fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        event_id: createEventId(),
        event_type: type,
        event_timestamp: microsToTimestamp(at),
        source,
        event_data: data,
      }),
    })
    expect(answer.status).toBe(200)
  }
})
afterAll(() => receiver.close())

const columns = async (more = '') =>
  (await (await fetch(`${receiver.url}data/timeline?${window}${more}`)).json()) as TimelineColumns

it('holds what GET /utilization/timeline says, interval by interval', async () => {
  const answer = await fetch(`${receiver.url}utilization/timeline?format=ndjson&${window}`)
  const expected = (await answer.text())
    .trim()
    .split('\n')
    .map((line) => {
      const { kind, id, state, cause, start_time, end_time } = JSON.parse(line) as { [name: string]: string }
      return [kind, id, state, cause, start_time, end_time].join(' ')
    })
  expect(expected.length).toBeGreaterThan(20)
  const { entities, states, causes, start_us, intervals, left_out } = await columns()
  const found = entities.flatMap(({ kind, id, gaps, lengths, states: own, causes: whys }) => {
    let at = start_us
    return gaps.map((gap, index) => {
      const start = at + gap
      at = start + lengths[index]!
      return [
        kind,
        id,
        states[own[index]!],
        causes[whys[index]!],
        microsToTimestamp(start),
        microsToTimestamp(at),
      ].join(' ')
    })
  })
  expect(found.sort()).toEqual(expected.sort())
  expect([intervals, left_out]).toEqual([expected.length, {}])
})

it('leaves out the oldest runs beyond its limit of intervals, and counts them', async () => {
  const all = await columns()
  const some = await columns('&limit=5')
  const places = some.entities.map(({ id }) => all.entities.findIndex((one) => one.id === id))
  expect(places).toEqual(places.map((_, place) => place))
  expect(some.intervals).toBeLessThanOrEqual(5)
  expect(Object.keys(some.left_out).length).toBeGreaterThan(1)
  for (const [kind, count] of Object.entries(some.left_out)) {
    const of = ({ entities }: TimelineColumns) => entities.filter((one) => one.kind === kind).length
    expect(count, kind).toBe(of(all) - of(some))
  }
})

const report = async (path: string) => {
  const answer = await fetch(`${receiver.url}utilization/${path}&${window}`)
  return { status: answer.status, body: (await answer.json()) as TimelineColumns }
}
const lengthsOf = ({ entities }: TimelineColumns) =>
  entities.map(({ id, lengths }) => [id, lengths.reduce((sum, one) => sum + one, 0)])

it('is GET /utilization/timeline with format=columns, of fewer intervals with resolution_us', async () => {
  const { now_us: _, ...all } = await columns()
  const { status, body } = await report('timeline?format=columns')
  expect(status).toBe(200)
  expect(body).toEqual({ ...all, now_us: body.now_us })
  const coarse = (await report('timeline?format=columns&resolution_us=600000000')).body
  expect(coarse.intervals).toBeLessThan(all.intervals)
  expect(lengthsOf(coarse)).toEqual(lengthsOf(body))
  expect((await report('timeline?format=columns&resolution_us=0')).status).toBe(422)
  expect((await report('waits?format=columns')).status).toBe(422)
})

it('short intervals become one of at least the resolution, which shows an error in it', () => {
  const piece = fc.record({
    state: fc.constantFrom('busy' as const, 'idle' as const, 'error' as const),
    length: fc.integer({ min: 1, max: 30 }),
    gap: fc.constantFrom(0, 0, 0, 5),
  })
  fc.assert(
    fc.property(fc.array(piece), fc.integer({ min: 1, max: 40 }), (given, resolution) => {
      let at = 0
      const pieces = given.map(({ state, length, gap }) => {
        const start = at + gap
        at = start + length
        return { state, cause: 'running' as const, start, end: at }
      })
      const found = coarsen(pieces, resolution)
      for (const [index, { start, end, state }] of found.entries()) {
        const within = pieces.filter((one) => one.start >= start && one.end <= end)
        expect(within.reduce((sum, one) => sum + one.end - one.start, 0)).toBe(end - start)
        expect(state === 'error').toBe(within.some((one) => one.state === 'error'))
        const next = pieces.find((one) => one.start === end)
        const isShort = end - start < resolution
        if (isShort && next && next.end - next.start < resolution)
          throw new Error(`${index}: it could be longer`)
      }
      expect(found.reduce((sum, { start, end }) => sum + end - start, 0)).toBe(
        pieces.reduce((sum, { start, end }) => sum + end - start, 0),
      )
    }),
  )
})

it('a summary has the fields that were asked for', async () => {
  type Item = { [name: string]: unknown; buckets?: { [name: string]: unknown }[] }
  const ask = async (fields: string) =>
    (await report(`summary?by=node&bucket=hour&fields=${fields}`)).body as unknown as { items: Item[] }
  const [first] = (await ask('runs,buckets.utilization_percent')).items
  expect(Object.keys(first!)).toEqual(['id', 'name', 'runs', 'buckets'])
  expect(first!.buckets!.map((one) => Object.keys(one))).toEqual(
    first!.buckets!.map(() => ['utilization_percent']),
  )
  const whole = (await ask('buckets,buckets.start_time')).items[0]!
  expect(Object.keys(whole.buckets![0]!)).toContain('totals_us')
  expect((await report('summary?fields=colour')).status).toBe(422)
  expect((await report('summary?fields=runs&format=csv')).status).toBe(422)
})

it('comes compressed, and says what is wrong with a parameter', async () => {
  const answer = await fetch(`${receiver.url}data/timeline?${window}`, {
    headers: { 'accept-encoding': 'gzip' },
  })
  expect(answer.headers.get('content-type')).toContain('application/json')
  await answer.body?.cancel()
  expect((await fetch(`${receiver.url}data/timeline?kind=dream`)).status).toBe(422)
})

it('GET /timeline is a page, and without pages a report', async () => {
  const page = await fetch(`${receiver.url}timeline`)
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
})
