import { createEventId, microsToTimestamp } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { TimelineColumns } from '../../../receiver/src/utilization/timeline/column.ts'
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
