import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Event, fromDocument } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import type { NewEvent } from '../../../receiver/src/document/event-document.ts'
import { createBatcher } from '../../../receiver/src/ingest/batcher.ts'
import type { WriteOutcome } from '../../../receiver/src/store/event-store.ts'

const event = (id: string): Event => fromDocument({ _id: id })

/** A write that the test lets go by hand. */
function createHeldWrite() {
  const writes: { ids: string[]; settle: (outcome: WriteOutcome[] | Error) => void }[] = []
  const write = (events: readonly NewEvent[]) =>
    new Promise<WriteOutcome[]>((resolve, reject) => {
      writes.push({
        ids: events.map((one) => one.event_id),
        settle: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
      })
    })
  return { write, writes }
}
// Long enough for a small write that waits for company.
const turn = () => new Promise((resolve) => setTimeout(resolve, 10))

describe('batcher', () => {
  it('A call settles only after its events are committed or refused', async () => {
    const held = createHeldWrite()
    const batcher = createBatcher({ write: held.write, concurrency: 1, maxEvents: 10 })
    let settled = false
    const call = batcher.add([event('a')]).then((outcomes) => {
      settled = true
      return outcomes
    })
    await turn()
    expect(settled).toBe(false)
    held.writes[0]!.settle(['stored'])
    expect(await call).toEqual(['stored'])
  })

  it('Calls that arrive while a write is running share the next one, in the order in which they came', async () => {
    const held = createHeldWrite()
    const batcher = createBatcher({ write: held.write, concurrency: 1, maxEvents: 3 })
    const first = batcher.add([event('a')])
    await turn()
    const rest = [batcher.add([event('b'), event('c')]), batcher.add([event('d')]), batcher.add([event('e')])]
    await turn()
    expect(held.writes.map((write) => write.ids)).toEqual([['a']])
    held.writes[0]!.settle(['stored'])
    await first
    await turn()
    expect(held.writes[1]!.ids).toEqual(['b', 'c', 'd'])
    held.writes[1]!.settle(['stored', { refused: 'no' }, 'duplicate'])
    expect(await rest[0]).toEqual(['stored', { refused: 'no' }])
    expect(await rest[1]).toEqual(['duplicate'])
    await turn()
    held.writes[2]!.settle(['stored'])
    expect(await rest[2]).toEqual(['stored'])
  })

  it('A write that throws fails the calls in it and no other; the next write runs', async () => {
    const held = createHeldWrite()
    const batcher = createBatcher({ write: held.write, concurrency: 1, maxEvents: 10 })
    const first = batcher.add([event('a')])
    await turn()
    const second = batcher.add([event('b')])
    held.writes[0]!.settle(new Error('disk'))
    await expect(first).rejects.toThrow('disk')
    await turn()
    held.writes[1]!.settle(['stored'])
    expect(await second).toEqual(['stored'])
  })

  it('a small write waits for the one that runs, and after a slow one for company; a large one goes beside it', async () => {
    const held = createHeldWrite()
    const batcher = createBatcher({ write: held.write, concurrency: 2, maxEvents: 1000 })
    const many = Array.from({ length: 60 }, (_, i) => event(`m${i}`))
    const calls = [batcher.add([event('a')])]
    await turn()
    calls.push(batcher.add([event('b')]))
    await turn()
    expect(held.writes.length).toBe(1)
    calls.push(batcher.add(many))
    await turn()
    expect(held.writes.map((write) => write.ids.length)).toEqual([1, 61])
    held.writes[1]!.settle(many.concat(event('b')).map(() => 'stored'))
    held.writes[0]!.settle(['stored'])
    expect((await calls[0])!).toEqual(['stored'])
    // Two calls were answered after a slow write: the first of them that comes again waits for the second.
    const again = [batcher.add([event('c')])]
    await new Promise((resolve) => setImmediate(resolve))
    again.push(batcher.add([event('d')]))
    await turn()
    expect(held.writes.map((write) => write.ids.length)).toEqual([1, 61, 2])
    held.writes[2]!.settle(['stored', 'stored'])
    await Promise.all([...calls, ...again])
  })

  it('a call that is worth a commit is written at once, and its events are let go while that runs', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    let finish = (_: WriteOutcome[]) => {}
    let seen = 0
    const batcher = createBatcher({
      write(events) {
        seen += events.length
        return new Promise((resolve) => {
          finish = resolve
        })
      },
      concurrency: 1,
      maxEvents: 1000,
    })
    const add = (): [Promise<WriteOutcome[]>, WeakRef<Event>] => {
      const events = Array.from({ length: 500 }, (_, i) => event(`e${i}`))
      return [batcher.add(events), new WeakRef(events[7]!)]
    }
    const [call, one] = add()
    expect(seen).toBe(500)
    // A weak reference holds until the turn in which it was made has ended.
    await turn()
    collect()
    expect(one.deref()).toBeUndefined()
    finish(new Array(500).fill('stored'))
    expect(await call).toHaveLength(500)
  })

  it('A part that fails ahead of an earlier one fails its own call, and the process goes on', async () => {
    const held = createHeldWrite()
    const batcher = createBatcher({ write: held.write, concurrency: 2, maxEvents: 500 })
    const unhandled: unknown[] = []
    const note = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      const call = batcher.add(Array.from({ length: 1000 }, (_, index) => event(`e${index}`)))
      const outcome = call.catch((error: Error) => error.message)
      await turn()
      held.writes[1]!.settle(new Error('the store is gone'))
      await turn()
      held.writes[0]!.settle(new Array(500).fill('stored'))
      expect(await outcome).toBe('the store is gone')
      await turn()
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  it('A write that throws fails every call in it, also those that share it', async () => {
    const held = createHeldWrite()
    const batcher = createBatcher({ write: held.write, concurrency: 1, maxEvents: 10 })
    const first = batcher.add([event('a')])
    await turn()
    const shared = ['b', 'c', 'd'].map((id) => batcher.add([event(id)]))
    await turn()
    held.writes[0]!.settle(['stored'])
    expect(await first).toEqual(['stored'])
    await turn()
    expect(held.writes[1]!.ids).toEqual(['b', 'c', 'd'])
    const failure = new Error('the disk is full')
    held.writes[1]!.settle(failure)
    const late = turn().then(() => 'unsettled' as const)
    const settled = shared.map((call) => Promise.race([call, late]).catch((error: unknown) => error))
    expect(await Promise.all(settled)).toEqual([failure, failure, failure])
    expect(batcher.waitingEvents).toBe(0)
    expect(batcher.runningWrites).toBe(0)
  })

  it('keeps to its concurrency, and drain waits for all', async () => {
    const held = createHeldWrite()
    const batcher = createBatcher({ write: held.write, concurrency: 2, maxEvents: 1 })
    const calls = ['a', 'b', 'c'].map((id) => batcher.add([event(id)]))
    let drained = false
    const drain = batcher.drain().then(() => {
      drained = true
    })
    await turn()
    expect(held.writes.length).toBe(2)
    held.writes[1]!.settle(['stored'])
    await turn()
    expect(held.writes.length).toBe(3)
    expect(drained).toBe(false)
    held.writes[0]!.settle(['stored'])
    held.writes[2]!.settle(['stored'])
    await Promise.all([...calls, drain])
  })
})
