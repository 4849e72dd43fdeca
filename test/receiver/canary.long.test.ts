import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId } from '@madsci-events/sdk/event'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startHttpSink } from '../support/alert-sink.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'
import { waitUntil } from '../support/wait.ts'

interface CanaryHealth {
  sent: number
  lost: number
  last: { event_id: string; seconds: { [stage: string]: number | null } } | null
}

for (const backend of ['sqlite', 'mongodb'] as const) {
  describe(`canaries over ${backend}`, () => {
    const cleanups: (() => unknown)[] = []
    let flags: { [name: string]: string } = {}
    let skipReason = ''
    beforeAll(async () => {
      const prepared = await prepareStore(backend)
      if ('skip' in prepared) skipReason = prepared.skip
      else {
        flags = prepared.flags
        return prepared.stop
      }
    })
    beforeEach((context) => context.skip(skipReason !== '', skipReason))
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
    })

    async function start(more: { [name: string]: string } = {}, canaryTimeoutMs = 20_000) {
      const own = backend === 'mongodb' ? { database_name: `test_${createEventId().toLowerCase()}` } : {}
      const receiver = await startTestReceiver({
        flags: { ...flags, ...own, canary_interval_seconds: '1', ...more },
        canaryTimeoutMs,
      })
      cleanups.push(() => receiver.close())
      const json = async (path: string, init: RequestInit = {}) =>
        (await fetch(receiver.url + path, init)).json()
      const query = (selector: object) =>
        json('events/query', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(selector),
        }) as Promise<{ [id: string]: { event_data: object } }>
      const canary = async () => ((await json('health')) as { canary: CanaryHealth }).canary
      return { receiver, json, query, canary }
    }

    it('are found by id, query and tail and acknowledged by each destination, with figures and in /health', async () => {
      const other = await startTestReceiver()
      cleanups.push(() => other.close())
      const destinations = [
        { name: 'all', url: other.url },
        { name: 'errors', url: other.url, selector: { log_level: { $gte: 40 } } },
      ]
      const { receiver, canary, query } = await start({ fanout: JSON.stringify(destinations) })
      await waitUntil(
        async () => (await canary()).sent >= 2 && (await canary()).last !== null,
        'two canaries',
      )
      const { lost, last } = await canary()
      expect(lost, JSON.stringify(last)).toBe(0)
      const stages = ['door', 'id', 'query', 'tail', 'fanout all', 'fanout errors']
      expect(Object.keys(last!.seconds).sort()).toEqual(stages.toSorted())
      for (const stage of stages) expect(last!.seconds[stage]).toBeGreaterThan(0)
      expect(Object.keys(await query({ _id: last!.event_id }))).toEqual([last!.event_id])
      expect((await fetch(`${other.url}event/${last!.event_id}`)).status).toBe(200)
      const metrics = await (await fetch(`${receiver.url}metrics`)).text()
      for (const stage of stages)
        expect(metrics).toMatch(
          new RegExp(`madsci_canary_duration_seconds_count\\{stage="${stage}"\\} [1-9]`),
        )
      const lostCounts = [...metrics.matchAll(/^madsci_canary_lost_total\{stage="(.+)"\} (\d+)$/gm)]
      expect(lostCounts.map(([, stage]) => stage).sort()).toEqual(stages.toSorted())
      for (const [, stage, count] of lostCounts) expect(count, stage).toBe('0')
    })

    it('are in no list, stream, report, page or alert, unless a selector names them', async () => {
      const sink = await startHttpSink()
      cleanups.push(() => sink.stop())
      const channels = { hook: { kind: 'webhook', url: sink.url } }
      const rules = [{ name: 'any', selector: {}, channels: ['hook'] }]
      const { receiver, json, query, canary } = await start({
        alert_private_hosts: '["127.0.0.1"]',
        alert_channels: JSON.stringify(channels),
        alert_rules: JSON.stringify(rules),
      })
      const stream = await fetch(`${receiver.url}events/stream?include_archived=true`)
      const told: string[] = []
      const reading = (async () => {
        for await (const bytes of stream.body!) told.push(Buffer.from(bytes).toString())
      })().catch(() => {})
      await waitUntil(async () => (await canary()).sent >= 2, 'two canaries')
      expect(await json('events?number=0&level=0&include_archived=true')).toEqual({})
      expect(await json('events/archived')).toEqual({})
      expect(await query({})).toEqual({})
      expect(await json('events/summary?include_archived=true')).toMatchObject({ total: 0 })
      expect(await query({ 'event_data.message': { $regex: 'canary' } })).toEqual({})
      const event_id = createEventId()
      const event = { event_id, event_type: 'log_info', event_data: { message: 'of the laboratory' } }
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(event),
      })
      await waitUntil(async () => told.join('').includes(event_id), 'the stream', 10_000)
      await waitUntil(async () => sink.requests.length > 0, 'the alert', 10_000)
      await sleep(1500)
      expect(Object.keys(await query({}))).toEqual([event_id])
      expect(told.join('')).not.toContain('00CANARY')
      expect(sink.requests.map(({ body }) => body).join('')).not.toContain('00CANARY')
      const seen = receiver.metric.read().filter(({ name, count }) => name === 'alert_events' && count > 0)
      expect(seen).toEqual([{ name: 'alert_events', reason: 'any', count: 1 }])
      const timeline = JSON.stringify(await json('utilization/timeline?start_time=1980-01-01T00:00:00Z'))
      expect(timeline).not.toContain('00CANARY')
      const named = await query({ _id: { $regex: '^00CANARY' } })
      expect(Object.keys(named).length).toBeGreaterThanOrEqual(2)
      await receiver.close()
      cleanups.splice(cleanups.length - 1)
      await reading
    })

    it('a destination that is away has lost them, the other stages have not', async () => {
      const url = `http://127.0.0.1:${await findFreePort()}`
      const fanout = JSON.stringify([{ name: 'away', url }])
      const { receiver, canary } = await start({ fanout }, 700)
      await waitUntil(async () => (await canary()).lost > 0, 'a loss')
      const { seconds } = (await canary()).last!
      expect(seconds['fanout away']).toBe(null)
      for (const stage of ['door', 'id', 'query', 'tail']) expect(seconds[stage]).toBeGreaterThan(0)
      const metrics = await (await fetch(`${receiver.url}metrics`)).text()
      expect(metrics).toMatch(/madsci_canary_lost_total\{stage="fanout away"\} [1-9]/)
    })
  })
}
