import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { composeMessage } from '../../../receiver/src/alert/message.ts'
import { createFairLine } from '../../../receiver/src/fair-line.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import type { EventStore, FindOptions, FindQuery } from '../../../receiver/src/store/event-store.ts'
import { laneOf } from '../../../receiver/src/store/query-lane.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { makeEvent } from '../../contract/event-store.contract.ts'

// A lookahead: no linear engine reads it.
const hanging = parseSelector({ 'event_data.message': { $regex: '^(?=a)(a|a)+$' } })
const all: FindQuery = { archived: 'include', order: 'none', limit: 0, offset: 0, timeoutMs: 0 }

describe('queries of a SQLite store', () => {
  let folder: string
  let store: EventStore
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-query-'))
    store = await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog })
    await store.write([makeEvent('evil', { event_data: { message: `${'a'.repeat(44)}!` } })])
    await store.write(Array.from({ length: 3000 }, (_, i) => makeEvent(`e${i}`)))
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  async function collect(query: Partial<FindQuery>, options?: FindOptions): Promise<string[]> {
    const ids: string[] = []
    for await (const chunk of store.find({ ...all, ...query }, options))
      ids.push(...chunk.map(({ id }) => id))
    return ids
  }

  /** Code of the error, and how long it took. */
  async function failureOf(query: Partial<FindQuery>, options?: FindOptions) {
    const startedMs = performance.now()
    const code = await collect(query, options).then(
      () => 'none',
      (error) => error.code as string,
    )
    return { code, ms: performance.now() - startedMs }
  }

  it('a query that hangs ends at its time limit, within 20 %, and holds up only queries of its own lane', async () => {
    // The threads are there.
    await Promise.all(Array.from({ length: 6 }, () => collect({ limit: 2 })))
    await collect({ limit: 1 }, { isReserved: true })
    const hung = ['a', 'b', 'c'].map((client) =>
      failureOf({ selector: hanging, timeoutMs: 1500 }, { client }),
    )
    await sleep(300)
    let slowestMs = 0
    for (let i = 0; i < 20; i++) {
      const startedMs = performance.now()
      expect(await collect({ limit: 1, order: 'newest' }, { client: 'a' })).toHaveLength(1)
      expect(await collect({ limit: 1 }, { client: 'alert', isReserved: true })).toHaveLength(1)
      slowestMs = Math.max(slowestMs, performance.now() - startedMs)
    }
    expect(slowestMs).toBeLessThan(500)
    const ends = await Promise.all(hung)
    expect(ends.map(({ code }) => code).sort()).toEqual([
      'EVT_QUERY_BUSY',
      'EVT_QUERY_TIMEOUT',
      'EVT_QUERY_TIMEOUT',
    ])
    for (const { ms } of ends) {
      expect(ms).toBeGreaterThan(1200)
      // The thread may have had to start first.
      expect(ms).toBeLessThan(1800 + 700)
    }
    // The ended threads are replaced.
    expect(await collect({ selector: parseSelector({ _id: { $regex: '^e1$' } }) })).toEqual(['e1'])
  })

  it('a query without a turn within its time limit ends with EVT_QUERY_BUSY', async () => {
    const hung = Array.from({ length: 2 }, () => failureOf({ selector: hanging, timeoutMs: 2500 }))
    await sleep(500)
    const wanted = { selector: parseSelector({ _id: { $regex: '^e1$' } }), timeoutMs: 500 }
    expect(await failureOf(wanted, { client: 'other' })).toMatchObject({ code: 'EVT_QUERY_BUSY' })
    await Promise.all(hung)
  })

  it('while others wait, one event holds a query for three seconds at most', async () => {
    const gone = new AbortController()
    const hung = Array.from({ length: 8 }, () =>
      failureOf({ selector: hanging, timeoutMs: 30_000 }, { signal: gone.signal }),
    )
    await sleep(500)
    const startedMs = performance.now()
    // The other client has had less time, however many wait before it.
    expect(
      await collect({ selector: parseSelector({ _id: { $regex: '^e1$' } }) }, { client: 'other' }),
    ).toEqual(['e1'])
    expect(performance.now() - startedMs).toBeLessThan(20_000)
    gone.abort()
    const codes = (await Promise.all(hung)).map(({ code }) => code)
    expect(new Set(codes)).toEqual(new Set(['EVT_QUERY_BUSY', 'EVT_CLIENT_GONE']))
  })

  it('an alert is composed with its neighbours while queries hang', async () => {
    const source = { workflow_id: '01KAV0000000000000000000WF' }
    await store.write(['w1', 'w2', 'w3'].map((id) => makeEvent(id, { source })))
    const gone = new AbortController()
    const hung = Array.from({ length: 12 }, () =>
      failureOf({ selector: hanging, timeoutMs: 30_000 }, { signal: gone.signal }),
    )
    await sleep(500)
    const startedMs = performance.now()
    const { html } = await composeMessage(
      'm',
      {
        id: 'n',
        alertId: 'a',
        rule: 'r',
        kind: 'firing',
        atMs: Date.now(),
        notBeforeMs: 0,
        channels: undefined,
        key: '',
        labels: {},
        level: 40,
        why: 'why',
        count: 1,
        ids: ['w3'],
        total: 1,
      },
      { store, publicUrl: 'http://lab.example/', eventPath: 'event' },
    )
    expect(html).toContain('w1')
    expect(performance.now() - startedMs).toBeLessThan(5000)
    gone.abort()
    await Promise.all(hung)
  })

  it('a query whose client is gone is ended', async () => {
    const gone = new AbortController()
    const hung = Array.from({ length: 2 }, () =>
      failureOf({ selector: hanging, timeoutMs: 60_000 }, { signal: gone.signal }),
    )
    await sleep(500)
    gone.abort()
    for (const { code } of await Promise.all(hung)) expect(code).toBe('EVT_CLIENT_GONE')
    // Its thread too.
    expect(await collect({ selector: parseSelector({ _id: { $regex: '^e1$' } }), timeoutMs: 5000 })).toEqual([
      'e1',
    ])
  })

  it('what waits for readers is bounded in bytes', async () => {
    const message = 'x'.repeat(4 * 1024 * 1024)
    for (let i = 0; i < 4; i++) await store.write([makeEvent(`large${i}`, { event_data: { message } })])
    const order = 'newest' as const
    const readers = Array.from({ length: 60 }, () =>
      store.find({ ...all, order }, { client: 'one' })[Symbol.asyncIterator](),
    )
    const reading = readers.map(async (reader) => (await reader.next()).value as { id: string }[] | undefined)
    await sleep(3000)
    const begun = await Promise.all(
      reading.map((one) => Promise.race([one, sleep(10).then(() => undefined)])),
    )
    const held = begun.filter((events) => events !== undefined)
    expect(held.length).toBeGreaterThan(5)
    expect(held.length * 4).toBeLessThan(48)
    // Another address is not held up, and those that wait go on when there is room.
    expect(await collect({ limit: 1 }, { client: 'other' })).toHaveLength(1)
    for (let i = 0; i < readers.length; i++) {
      await reading[i]
      await readers[i]!.return?.(undefined)
    }
  })
})

it('clients share the time of the threads, however many queries one of them has', () => {
  const line = createFairLine<{ client: string; isWaiting: boolean; name: string }>()
  const add = (client: string, name: string, isWaiting = true) => line.add({ client, name, isWaiting })
  for (const name of ['a1', 'a2', 'a3']) add('a', name)
  add('b', 'gone', false)
  add('b', 'b1')
  add('c', 'c1')
  const names: (string | undefined)[] = []
  for (let i = 0; i < 6; i++) names.push(line.take()?.name)
  expect(names).toEqual(['a1', 'b1', 'c1', 'a2', 'a3', undefined])
  add('a', 'a4')
  add('b', 'b2')
  expect(line.take(({ client }) => client === 'b')?.name).toBe('b2')
  expect(line.take()?.name).toBe('a4')
  // Who has used much waits until the others have had as much.
  line.charge('b', 10)
  for (let i = 0; i < 12; i++) add('a', `a${5 + i}`)
  add('b', 'b3')
  const after = Array.from({ length: 13 }, () => line.take()!.name)
  expect(after.indexOf('b3')).toBeGreaterThan(5)
})

it('a selector that can take long on one event is heavy, also for the reserve', () => {
  const lane = (selector: Parameters<typeof parseSelector>[0], isReserved?: boolean) =>
    laneOf({ ...all, selector: parseSelector(selector) }, isReserved)
  expect(laneOf(all)).toBe('light')
  expect(lane({ _id: { $in: Array.from({ length: 200 }, (_, i) => `e${i}`) } }, true)).toBe('reserved')
  expect(lane({ a: { $not: { $regex: 'x' } } })).toBe('heavy')
  expect(lane({ $or: [{ a: 1 }, { b: { $elemMatch: { c: { $regex: 'x' } } } }] }, true)).toBe('heavy')
  expect(lane({ a: { $in: Array.from({ length: 200 }, (_, i) => i) } })).toBe('heavy')
  expect(lane({ $and: Array.from({ length: 60 }, () => ({ a: 1 })) })).toBe('heavy')
})
