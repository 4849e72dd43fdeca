import { createEventId } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import type { SummaryAnswer } from '../../../receiver/src/http/summary-answer.ts'
import { useReceiver } from '../../support/use-receiver.ts'

const [arm, reader, run1, run2] = [createEventId(), createEventId(), createEventId(), createEventId()]
const assay = (workflow_id: string) => ({
  event_type: 'workflow_start',
  source: { workflow_id },
  event_data: { name: 'assay' },
})
const events = [
  { event_type: 'node_start', source: { node_id: arm }, event_data: { node_name: 'arm' } },
  { log_level: 40, source: { node_id: arm, workflow_id: run1 }, event_data: { message: 'no tip' } },
  { log_level: 40, event_data: { message: 'lost', node_name: 'arm' } },
  { log_level: 30, source: { node_id: reader }, event_data: { message: 'old', component_name: 'reader' } },
  assay(run1),
  assay(run2),
  { event_data: { message: 'x', component_name: 'pump, left' } },
  { log_level: 10, source: { user_id: reader }, event_data: 'words' },
]

const kinds = ['sqlite', 'mongodb'] as const
const variants = kinds.flatMap((store) => [0, 256].map((memoryMb) => ({ store, memoryMb })))

describe.each(variants)(
  'GET /events/summary, on $store with columns of $memoryMb MiB',
  ({ store, memoryMb }) => {
    const receiver = useReceiver(
      store,
      async () => {
        for (const [index, event] of events.entries())
          await post({ event_timestamp: `2026-11-23T05:38:0${index}Z`, ...event })
      },
      { summary_memory_mb: String(memoryMb) },
    )

    async function post(event: object): Promise<void> {
      const answer = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ source: {}, event_type: 'log_info', ...event }),
      })
      expect(answer.status, await answer.text()).toBe(200)
    }
    const ask = (parameters: { [name: string]: string }) =>
      fetch(`${receiver.url}events/summary?${new URLSearchParams(parameters)}`)
    const get = async (parameters: { [name: string]: string } = {}) => {
      const answer = await ask(parameters)
      const text = await answer.text()
      expect(answer.status, text).toBe(200)
      return JSON.parse(text) as SummaryAnswer
    }

    it('counts by level in pieces of time, and by name what events are of', async () => {
      const { total, histogram, facets, ...rest } = await get({ buckets: '3' })
      expect(total).toBe(8)
      expect(rest).toEqual({
        scanned_to: '2026-11-23T05:38:00.000000Z',
        complete_since: null,
        is_complete: true,
      })
      expect(histogram).toEqual({
        from: '2026-11-23T05:38:00.000Z',
        until: '2026-11-23T05:38:10.000Z',
        bucket_ms: 5000,
        buckets: [
          { start_time: '2026-11-23T05:38:00.000Z', total: 5, levels: { info: 2, warning: 1, error: 2 } },
          { start_time: '2026-11-23T05:38:05.000Z', total: 3, levels: { debug: 1, info: 2 } },
        ],
      })
      const of = (name: keyof typeof facets) => facets[name].values
      expect(of('level').map(({ name, count, q }) => [name, count, q])).toEqual([
        ['info', 4, 'level:info'],
        ['error', 2, 'level:error'],
        ['debug', 1, 'level:debug'],
        ['warning', 1, 'level:warning'],
      ])
      // The one that is known by its name alone is that of the id.
      expect(of('node')).toEqual([
        { id: arm, name: 'arm', count: 3, q: 'node:arm' },
        { id: reader, name: 'reader', count: 1, q: 'node:reader' },
      ])
      // Runs of a workflow share their name.
      expect(of('workflow')).toEqual([
        { id: run1, name: 'assay', count: 2, q: `workflow:${run1}` },
        { id: run2, name: 'assay', count: 1, q: `workflow:${run2}` },
      ])
      expect(of('user')).toEqual([{ id: reader, name: null, count: 1, q: `user:${reader}` }])
      expect(of('service').map(({ q }) => q)).toContain('service:"pump, left"')
      expect(of('experiment')).toEqual([])
    })

    it('has terms that find what they count', async () => {
      const { facets } = await get()
      for (const { values } of Object.values(facets))
        for (const { q, count } of values) expect((await get({ q })).total, q).toBe(count)
    })

    it('takes the filters of GET /events, and names what the filter leaves without a name', async () => {
      expect((await get({ level: 'error' })).total).toBe(2)
      const { total, facets } = await get({ q: 'tip', selector: '{"log_level": 40}' })
      expect(total).toBe(1)
      expect(facets.node.values).toEqual([{ id: arm, name: 'arm', count: 1, q: 'node:arm' }])
      expect(facets.workflow.values[0]!.name).toBe('assay')
      const some = await get({
        start_time: '2026-11-23T05:38:02Z',
        end_time: '2026-11-23T05:38:03Z',
        buckets: '2',
      })
      expect(some.total).toBe(2)
      expect([some.histogram.from, some.histogram.bucket_ms]).toEqual(['2026-11-23T05:38:02.000Z', 1000])
      const none = await get({ q: 'nothing' })
      expect(none).toMatchObject({ total: 0, histogram: { from: null, buckets: [] }, is_complete: true })
      expect((await get({ values: '1' })).facets.level).toMatchObject({ distinct: 4, other: 4 })
    })

    it('refuses what it cannot mean', async () => {
      for (const [name, value] of [
        ['buckets', '0'],
        ['buckets', '1001'],
        ['values', '-1'],
        ['timeout_ms', '0'],
        ['q', 'nod:arm'],
        ['selector', '{"$where": "1"}'],
      ] as const)
        expect((await ask({ [name]: value })).status, name).toBe(422)
    })

    it('ends at its time limit with the newest events, and says since when it is complete', async (context) => {
      if (memoryMb > 0) return context.skip('columns are too quick')
      const filler = { event_data: { message: 'm'.repeat(500) }, event_type: 'log_info', log_level: 20 }
      for (let at = 0; at < 8; at++) {
        const logRecords = Array.from({ length: 5000 }, (_, i) => ({
          timeUnixNano: `${1_795_000_000 + at * 5000 + i}000000000`,
          body: { stringValue: filler.event_data.message },
        }))
        const answer = await fetch(receiver.otlpUrl, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }),
        })
        expect(answer.status).toBe(200)
      }
      const whole = await get({ q: 'm' })
      expect([whole.total, whole.is_complete]).toEqual([40_000, true])
      const part = await get({ timeout_ms: '60' })
      expect(part.is_complete).toBe(false)
      expect(part.total).toBeLessThan(40_000)
      if (part.complete_since === null) return expect(part.total).toBe(0)
      expect(part.complete_since).toBe(part.scanned_to)
      // Each second has one event.
      const later = (1_795_000_000 + 39_999) * 1000 - Date.parse(part.complete_since)
      expect(part.total).toBeGreaterThanOrEqual(later / 1000)
    })
  },
)
