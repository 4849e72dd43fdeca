import { describe, expect, it } from 'vitest'
import type { Channel, SendOutcome } from '../../../receiver/src/alert/channel.ts'
import { createSender, giveUpMs, retryDelayMs } from '../../../receiver/src/alert/sender.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { createMetric } from '../../../receiver/src/metric.ts'
import type { AlertStore, Delivery, DeliveryOutcome } from '../../../receiver/src/store/alert-store.ts'
import { notice } from '../../support/notice.ts'

/** One delivery, a channel that answers what it is told, and a clock. */
function createRig(outcome: SendOutcome | Error, leaseMs?: number) {
  const warned: [fields: object, text: string][] = []
  const settled: DeliveryOutcome[] = []
  const reported: string[] = []
  let attempts = 0
  let isTaken = false
  const rig = { nowMs: 1000, settled, reported, warned, isLost: false, sent: 0, failures: 0, composeMs: 0 }
  const store = {
    async claim() {
      isTaken = !isTaken
      if (!isTaken) return []
      attempts++
      return [
        {
          id: 'd',
          alertId: 'a',
          channel: 'c',
          target: 't',
          createdMs: 1000,
          nextMs: 0,
          notice: JSON.stringify(notice),
          state: 'pending',
          attempts,
          error: null,
          settledMs: null,
        },
      ] satisfies Delivery[]
    },
    renew: async () => {
      if (leaseMs !== undefined) throw new Error('the store is away')
    },
    async settle(_holder: string, _id: string, one: DeliveryOutcome) {
      if (rig.failures-- > 0) throw new Error('the store steps down')
      settled.push(one)
      return !rig.isLost
    },
  } as unknown as AlertStore
  const channel: Channel = {
    name: 'c',
    kind: 'webhook',
    targets: ['t'],
    async send() {
      rig.sent++
      if (outcome instanceof Error) throw outcome
      return outcome
    },
    close: () => {},
  }
  const sender = createSender({
    store,
    channels: new Map([['c', channel]]),
    async compose(id, one) {
      if (rig.composeMs > 0) await new Promise((resolve) => setTimeout(resolve, rig.composeMs))
      return { id, notice: one, subject: '', text: '', html: '', events: [] }
    },
    leaseMs,
    report: async (event) => void reported.push(event.event_id),
    holder: 'h',
    managerId: 'm',
    log: { ...silentLog, warn: (fields, text) => void warned.push([fields, text]) },
    metric: createMetric(),
    now: () => rig.nowMs,
  })
  const send = async () => {
    await sender.round()
    await new Promise((resolve) => setTimeout(resolve, 5))
    return settled.at(-1)
  }
  return { rig, send, close: () => sender.close() }
}

describe('delivery', () => {
  it('is tried again for a day, later and later, and then given up with one event', async () => {
    const { rig, send, close } = createRig({ kind: 'retry', reason: 'busy' })
    const waits: number[] = []
    while (rig.nowMs < 1000 + giveUpMs) {
      const outcome = await send()
      if (outcome?.state !== 'pending') throw new Error(`it was ${outcome?.state}`)
      waits.push(outcome.nextMs - rig.nowMs)
      rig.nowMs = outcome.nextMs
    }
    expect(rig.reported).toEqual([])
    expect(waits[0]).toBeLessThanOrEqual(2400)
    expect(Math.max(...waits)).toBeLessThanOrEqual(18 * 60_000)
    expect(waits.length).toBeGreaterThan(80)
    expect(waits.every(Number.isInteger)).toBe(true)
    expect(await send()).toEqual({ state: 'failed', error: 'busy' })
    await send()
    // Given up twice (its note was lost), it is the same event.
    expect(new Set(rig.reported).size).toBe(1)
    await close()
  })

  it('that is refused is given up at once; what throws is tried again', async () => {
    const refused = createRig({ kind: 'refused', reason: 'no such user' })
    expect(await refused.send()).toEqual({ state: 'failed', error: 'no such user' })
    expect(refused.rig.reported).toHaveLength(1)
    await refused.close()
    const broken = createRig(new Error('the store is away'))
    expect(await broken.send()).toMatchObject({ state: 'pending', error: 'the store is away' })
    await broken.close()
  })

  it('that a channel took is held until the store has written it, and not sent again', async () => {
    const { rig, send, close } = createRig({ kind: 'delivered' })
    rig.failures = 2
    expect(await send()).toBeUndefined()
    // Claimed once more, as when its lease had ended.
    await send()
    await send()
    await expect.poll(() => rig.settled).toEqual([{ state: 'delivered' }])
    expect(rig.sent).toBe(1)
    expect(rig.warned).toEqual([
      [
        { channel: 'c', alert: 'a', delivery: 'd', reason: 'the store steps down' },
        'what became of an alert message could not be saved; it is not sent again meanwhile; retrying',
      ],
    ])
    await close()
  })

  it('whose lease has ended, because the process stood still, is left to others', async () => {
    const { rig, send, close } = createRig({ kind: 'delivered' }, 40)
    rig.composeMs = 60
    await send()
    await new Promise((resolve) => setTimeout(resolve, 120))
    expect(rig).toMatchObject({ sent: 0, settled: [] })
    await close()
  })

  it('takes three places of a channel and twelve in all, however many ask at once', async () => {
    const waiting = [...'aaaaaaaabcbcbcdededeffff']
    const store = {
      async claim(_holder: string, _leaseMs: number, limit: number, busy: readonly string[]) {
        const found = waiting.filter((channel) => !busy.includes(channel)).slice(0, limit)
        for (const channel of found) waiting.splice(waiting.indexOf(channel), 1)
        await new Promise((resolve) => setTimeout(resolve, 2))
        return found.map((channel) => ({
          id: `${channel}${waiting.length}${Math.random()}`,
          channel,
          notice: JSON.stringify(notice),
          attempts: 1,
        }))
      },
      renew: async () => {},
      settle: async () => true,
    } as unknown as AlertStore
    const under = new Map<string, number>()
    const ends: (() => void)[] = []
    let most = 0
    let mostOfChannel = 0
    let sent = 0
    const toChannel = (name: string): [string, Channel] => [
      name,
      {
        name,
        kind: 'webhook',
        targets: ['t'],
        async send() {
          under.set(name, (under.get(name) ?? 0) + 1)
          sent++
          mostOfChannel = Math.max(mostOfChannel, ...under.values())
          most = Math.max(
            most,
            [...under.values()].reduce((sum, number) => sum + number, 0),
          )
          await new Promise<void>((resolve) => ends.push(resolve))
          under.set(name, (under.get(name) ?? 0) - 1)
          return { kind: 'delivered' }
        },
        close: () => {},
      },
    ]
    const sender = createSender({
      store,
      channels: new Map([...'abcdef'].map(toChannel)),
      compose: async (id, one) => ({ id, notice: one, subject: '', text: '', html: '', events: [] }),
      report: async () => {},
      holder: 'h',
      managerId: 'm',
      log: silentLog,
      metric: createMetric(),
      onRoom: () => void sender.round(),
    })
    await Promise.all([sender.round(), sender.round()])
    while (sent < 24 || ends.length > 0) {
      ends.shift()?.()
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect({ most, mostOfChannel, sent }).toEqual({ most: 12, mostOfChannel: 3, sent: 24 })
    await sender.close()
  })

  it('waits double, up to a quarter of an hour, with a fifth of chance', () => {
    expect([1, 2, 3].map((attempts) => retryDelayMs(attempts, () => 0.5))).toEqual([2000, 4000, 8000])
    expect(retryDelayMs(99, () => 1)).toBe(Math.round(15 * 60_000 * 1.2))
  })
})
