import type { Event } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type {
  AlertRecord,
  AlertStep,
  AlertStore,
  Intent,
  Match,
  NewDelivery,
} from '../../receiver/src/store/alert-store.ts'
import type { EventStore } from '../../receiver/src/store/event-store.ts'
import { makeEvent } from './event-store.contract.ts'

export interface AlertBackend {
  open(): Promise<EventStore>
  /** Makes the closed store one from before alerts. */
  makeOlder(): Promise<void>
  stop(): Promise<void>
}

const matchOf = (positions: number[], rule = 'r'): Match => ({
  rule,
  kind: 'match',
  key: '["a"]',
  labels: { node_id: 'n' },
  level: 40,
  positions,
})
const record = (id: string, openedMs: number, fields: Partial<AlertRecord> = {}): AlertRecord => ({
  id,
  rule: 'r',
  key: '["a"]',
  state: 'firing',
  openedMs,
  updatedMs: openedMs,
  json: `{"id":"${id}"}`,
  ...fields,
})
const delivery = (id: string, alertId: string, fields: Partial<NewDelivery> = {}): NewDelivery => ({
  id,
  alertId,
  channel: 'email',
  target: 'a@b.c',
  createdMs: 1,
  nextMs: 0,
  notice: '{}',
  ...fields,
})

/** The promises of AlertStore (receiver/src/store/alert-store.ts), on an empty database. */
export function describeAlertStore(name: string, start: () => Promise<AlertBackend>, skipReason = ''): void {
  describe(`AlertStore: ${name}`, () => {
    let backend: AlertBackend
    let store: EventStore
    let alerts: AlertStore
    beforeEach((ctx) => ctx.skip(skipReason !== '', skipReason))
    beforeAll(async () => {
      if (skipReason) return
      backend = await start()
      store = await backend.open()
      alerts = store.alerts!
    })
    afterAll(async () => {
      await store?.close()
      await backend?.stop()
    })

    const write = (ids: string[], matches: Match[], fields: Partial<Event> = {}) =>
      store.write(
        ids.map((id) => makeEvent(id, fields)),
        matches,
      )
    async function step(fields: Partial<AlertStep> = {}): Promise<AlertStep> {
      const { version } = await alerts.load()
      return { version, state: `after ${version}`, folded: [], alerts: [], deliveries: [], ...fields }
    }
    /** What is ready within a moment: MongoDB settles intents just after the write. */
    async function waitForIntents(count: number): Promise<Intent[]> {
      await expect.poll(async () => (await alerts.intents(100)).length, { timeout: 8000 }).toBe(count)
      return alerts.intents(100)
    }
    async function foldAll(): Promise<void> {
      const folded = (await alerts.intents(1000)).map(({ id }) => id)
      expect(await alerts.commit(await step({ folded }))).toBe(true)
    }

    it('an older schema gets its place for alerts when it is opened', async () => {
      await store.close()
      await backend.makeOlder()
      store = await backend.open()
      alerts = store.alerts!
      expect(await alerts.load()).toEqual({ version: 0, state: undefined })
      expect(await write(['old-1'], [matchOf([0])])).toEqual(['stored'])
      await waitForIntents(1)
      await foldAll()
    })

    it('1. a match is durable before its write settles, and there once, also for a later opening', async () => {
      await write(['a1', 'a2', 'a3'], [matchOf([0, 2]), matchOf([1], 'other')])
      await store.close()
      store = await backend.open()
      alerts = store.alerts!
      const [intent] = await waitForIntents(1)
      expect(intent!.facts).toEqual([
        {
          rule: 'r',
          kind: 'match',
          key: '["a"]',
          labels: { node_id: 'n' },
          level: 40,
          ids: ['a1', 'a3'],
          count: 2,
        },
        {
          rule: 'other',
          kind: 'match',
          key: '["a"]',
          labels: { node_id: 'n' },
          level: 40,
          ids: ['a2'],
          count: 1,
        },
      ])
      expect(Math.abs(Date.now() - intent!.atMs)).toBeLessThan(60_000)
      expect(await alerts.intents(100)).toEqual([intent])
      await foldAll()
      expect(await alerts.intents(100)).toEqual([])
    })

    it('2. a duplicate or a refused event makes no intent, also within one write and between writes at once', async () => {
      await write(['b1'], [])
      await write(['b1'], [matchOf([0])])
      await store.write(
        [makeEvent('b-huge', { event_data: 'x'.repeat(17 * 1024 * 1024) }), makeEvent('b2')],
        [matchOf([0, 1])],
      )
      await write(['b3', 'b3'], [matchOf([0, 1])])
      await Promise.all(Array.from({ length: 6 }, () => write(['b4', 'b5'], [matchOf([0, 1])])))
      await expect
        .poll(
          async () => (await alerts.intents(100)).flatMap(({ facts }) => facts.flatMap((f) => f.ids)).length,
        )
        .toBeGreaterThanOrEqual(4)
      await new Promise((resolve) => setTimeout(resolve, 200))
      const ids = (await alerts.intents(100)).flatMap(({ facts }) => facts.flatMap((fact) => fact.ids))
      expect(ids.sort()).toEqual(['b2', 'b3', 'b4', 'b5'])
      await foldAll()
    })

    it('an action is an intent', async () => {
      await alerts.act({ kind: 'acknowledge', alertId: 'x', by: 'me' })
      const [intent] = await waitForIntents(1)
      expect(intent).toMatchObject({ facts: [], action: { kind: 'acknowledge', alertId: 'x', by: 'me' } })
      await foldAll()
    })

    it('3. commit takes state, intents, alerts and deliveries together', async () => {
      await write(['c1'], [matchOf([0])])
      const [intent] = await waitForIntents(1)
      const next = await step({
        folded: [intent!.id],
        alerts: [record('al-1', 1000)],
        deliveries: [delivery('d-1', 'al-1', { nextMs: Date.now() + 3_600_000 })],
      })
      expect(await alerts.commit(next)).toBe(true)
      expect(await alerts.load()).toEqual({ version: next.version + 1, state: next.state })
      expect(await alerts.intents(10)).toEqual([])
      expect(await alerts.get('al-1')).toEqual(record('al-1', 1000))
      expect(await alerts.deliveriesOf(['al-1'])).toMatchObject([
        { id: 'd-1', state: 'pending', attempts: 0, error: null },
      ])
      expect(await alerts.counts()).toEqual({ pending: 1, retrying: 0, failed: 0 })
    })

    it('4. of two that commit after the same version one gets false, and nothing of its step stays', async () => {
      const { version } = await alerts.load()
      const steps = ['left', 'right'].map((id) => ({
        version,
        state: id,
        folded: [],
        alerts: [record(`p4-${id}`, 1)],
        deliveries: [],
      }))
      const results = await Promise.all(steps.map((one) => alerts.commit(one)))
      expect([...results].sort()).toEqual([false, true])
      const winner = results[0] ? 'left' : 'right'
      expect((await alerts.load()).state).toBe(winner)
      expect(await alerts.get(`p4-${winner}`)).toBeDefined()
      expect(await alerts.get(`p4-${results[0] ? 'right' : 'left'}`)).toBeUndefined()
    })

    it('5. claim gives a delivery to one holder at a time; it comes back when the lease ends, never once settled', async () => {
      const ids = Array.from({ length: 6 }, (_, i) => `p5-${i}`)
      await alerts.commit(await step({ deliveries: ids.map((id) => delivery(id, 'al-5')) }))
      const claims = await Promise.all(['x', 'y', 'z'].map((holder) => alerts.claim(holder, 300, 4)))
      const got = claims.flat().map(({ id }) => id)
      expect(got.sort()).toEqual(ids)
      expect(await alerts.claim('w', 300, 10)).toEqual([])
      await alerts.commit(await step({ deliveries: [delivery('p5-chat', 'al-5', { channel: 'chat' })] }))
      expect(await alerts.claim('w', 60_000, 10, ['chat'])).toEqual([])
      expect(await alerts.claim('w', 60_000, 10, ['email'])).toMatchObject([{ id: 'p5-chat' }])
      const holderOf = (id: string) =>
        ['x', 'y', 'z'][claims.findIndex((list) => list.some((d) => d.id === id))]!
      expect(await alerts.settle(holderOf('p5-0'), 'p5-0', { state: 'delivered' })).toBe(true)
      expect(await alerts.settle('stranger', 'p5-1', { state: 'delivered' })).toBe(false)
      await alerts.settle(holderOf('p5-1'), 'p5-1', { state: 'failed', error: 'no such user' })
      const nextMs = Date.now() + 600_000
      await alerts.settle(holderOf('p5-2'), 'p5-2', { state: 'pending', nextMs, error: 'try later' })
      await alerts.renew(holderOf('p5-3'), ['p5-3'], 60_000)
      await new Promise((resolve) => setTimeout(resolve, 400))
      const again = await alerts.claim('w', 300, 10)
      expect(again.map(({ id }) => id).sort()).toEqual(['p5-4', 'p5-5'])
      expect(again[0]!.attempts).toBe(2)
      expect(await alerts.settle(holderOf('p5-4'), 'p5-4', { state: 'delivered' })).toBe(false)
      const states = new Map((await alerts.deliveriesOf(['al-5'])).map((one) => [one.id, one]))
      expect(states.get('p5-0')).toMatchObject({ state: 'delivered', error: null })
      expect(states.get('p5-1')).toMatchObject({ state: 'failed', error: 'no such user' })
      expect(states.get('p5-2')).toMatchObject({ state: 'pending', error: 'try later', nextMs })
      expect((await alerts.counts()).failed).toBe(1)
    })

    it('5. what a clock scheduled that was years ahead is due at once, and once', async () => {
      const yearMs = 365 * 86_400_000
      const ahead = Date.now() + 10 * yearMs
      const late = delivery('p5-late', 'al-5', { channel: 'ahead', createdMs: ahead, nextMs: ahead })
      await alerts.commit(await step({ deliveries: [late] }))
      const others = ['email', 'chat']
      expect(await alerts.claim('v', 60_000, 10, others)).toMatchObject([{ id: 'p5-late', attempts: 1 }])
      await alerts.settle('v', 'p5-late', { state: 'pending', nextMs: ahead, error: 'try later' })
      expect(await alerts.claim('v', 60_000, 10, others)).toMatchObject([{ id: 'p5-late', attempts: 2 }])
      await alerts.settle('v', 'p5-late', { state: 'pending', nextMs: Date.now() + 600_000, error: 'later' })
      expect(await alerts.claim('v', 60_000, 10, others)).toEqual([])
    })

    it('6. find gives the newest alerts first, by state, rule and key, in pages', async () => {
      const records = Array.from({ length: 7 }, (_, i) =>
        record(`p6-${i}`, 5000 + Math.floor(i / 2), {
          rule: 'six',
          key: i % 2 === 0 ? '["even"]' : '["odd"]',
          state: i < 2 ? 'resolved' : 'firing',
        }),
      )
      await alerts.commit(await step({ alerts: records }))
      const idsOf = (list: AlertRecord[]) => list.map(({ id }) => id)
      const all = await alerts.find({ rule: 'six', limit: 100 })
      expect(idsOf(all)).toEqual([6, 5, 4, 3, 2, 1, 0].map((i) => `p6-${i}`))
      expect(idsOf(await alerts.find({ rule: 'six', state: 'resolved', limit: 9 }))).toEqual(['p6-1', 'p6-0'])
      expect(await alerts.find({ rule: 'six', key: '["odd"]', limit: 9 })).toHaveLength(3)
      const paged: string[] = []
      for (let after: string | undefined; ; ) {
        const page = await alerts.find({ rule: 'six', limit: 2, ...(after && { after }) })
        if (page.length === 0) break
        paged.push(...idsOf(page))
        after = `${page.at(-1)!.openedMs}:${page.at(-1)!.id}`
      }
      expect(paged).toEqual(idsOf(all))
    })

    it('7. forget removes what was resolved before, with its deliveries, and leaves what is pending', async () => {
      const old = { state: 'resolved', updatedMs: 10 } as const
      await alerts.commit(
        await step({
          alerts: [
            record('p7-old', 1, old),
            record('p7-pending', 1, old),
            record('p7-new', 1, { ...old, updatedMs: 99 }),
          ],
          deliveries: [delivery('p7-d1', 'p7-old'), delivery('p7-d2', 'p7-pending')],
        }),
      )
      for (const { id } of await alerts.claim('h', 60_000, 10)) {
        if (id === 'p7-d1') await alerts.settle('h', id, { state: 'delivered' })
      }
      expect(await alerts.forget(50)).toBe(1)
      expect(await alerts.get('p7-old')).toBeUndefined()
      expect(await alerts.get('p7-pending')).toBeDefined()
      expect(await alerts.get('p7-new')).toBeDefined()
    })
  })
}
