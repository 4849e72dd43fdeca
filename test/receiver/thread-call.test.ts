import { EventError } from '@madsci-events/sdk/event'
import { afterAll, expect, it } from 'vitest'
import { type Caller, createCaller } from '../../receiver/src/thread-call.ts'
import type { TestRequest } from '../support/thread-call-worker.ts'
import { waitUntil } from '../support/wait.ts'

type Answer = { text?: string; made?: number; isEnded?: boolean }
const open = (): Caller<TestRequest, Answer, number> =>
  createCaller({
    file: new URL('../support/thread-call-worker.ts', import.meta.url),
    workerData: {},
    maxHeapMb: 64,
    toError: (cause) => new EventError('EVT_STORE_UNAVAILABLE', 'it died', { cause }),
  })
const limit = { timeoutMs: 0, late: () => new EventError('EVT_STORE_UNAVAILABLE', 'late') }
const caller = open()
afterAll(() => caller.close())

it('answers each call, while another one waits', async () => {
  const never = caller.call({ what: 'never' }).catch((error: EventError) => error.code)
  const texts = ['a', 'b', 'c']
  const answers = await Promise.all(texts.map((text) => caller.call({ what: 'echo', text })))
  expect(answers.map(({ text }) => text)).toEqual(texts)
  await expect(caller.call({ what: 'die' })).rejects.toMatchObject({ message: 'it died' })
  expect(await never).toBe('EVT_STORE_UNAVAILABLE')
  // The next one starts it again.
  expect((await caller.call({ what: 'echo', text: 'd' })).text).toBe('d')
})

it('throws what the thread threw; of what nobody foresaw the text is the cause', async () => {
  await expect(caller.call({ what: 'refuse', text: 'x' })).rejects.toMatchObject({
    code: 'EVT_INVALID',
    message: 'no',
    detail: ['x'],
  })
  const error = await caller.call({ what: 'bug', text: 'secret' }).catch((thrown: EventError) => thrown)
  expect(error).toMatchObject({ code: 'EVT_INTERNAL' })
  expect((error as EventError).message).not.toContain('secret')
  expect(((error as EventError).cause as Error).message).toMatch(/TypeError: secret\n/)
})

it('streams pieces in order, two ahead of their reader, and ends them when the reader leaves', async () => {
  const all: number[] = []
  for await (const piece of (await caller.stream({ what: 'count' }, limit)).pieces) all.push(piece)
  expect(all).toEqual(Array.from({ length: 1000 }, (_, index) => index))
  for await (const piece of (await caller.stream({ what: 'count' }, limit)).pieces) if (piece === 9) break
  await waitUntil(async () => (await caller.call({ what: 'echo' })).isEnded === true, 'the pieces have ended')
  // Ten that were read, two ahead, and one that waits.
  expect((await caller.call({ what: 'echo' })).made).toBeLessThanOrEqual(13)
})

it('rejects an answer that does not come in time, and all when it is closed', async () => {
  const late = { ...limit, timeoutMs: 1 }
  await expect(caller.stream({ what: 'never' }, late)).rejects.toMatchObject({ message: 'late' })
  const other = open()
  const waiting = expect(other.call({ what: 'never' })).rejects.toMatchObject({ code: 'EVT_CLOSING' })
  await other.close()
  await waiting
  await expect(other.call({ what: 'echo' })).rejects.toMatchObject({ code: 'EVT_CLOSING' })
})
