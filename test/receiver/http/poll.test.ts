import { describe, expect, it } from 'vitest'
import { createPoll } from '../../../receiver/src/http/poll.ts'
import { shareCalls } from '../../../receiver/src/store/shared-call.ts'

describe('a poll', () => {
  it('wakes all who wait at the same time, and one who leaves at once', async () => {
    const poll = createPoll(50)
    const stay = new AbortController()
    const leave = new AbortController()
    const woken: string[] = []
    const wait = async (name: string, signal: AbortSignal) => {
      await poll(signal)
      woken.push(name)
    }
    const all = [wait('a', stay.signal), wait('gone', leave.signal), wait('b', stay.signal)]
    leave.abort()
    await all[1]
    expect(woken).toEqual(['gone'])
    const marks: string[][] = []
    await Promise.all(all.map((one) => one.then(() => marks.push([...woken]))))
    expect(woken).toEqual(['gone', 'a', 'b'])
    await wait('later', stay.signal)
    await wait('never', leave.signal)
    expect(woken).toEqual(['gone', 'a', 'b', 'later', 'never'])
  })

  it('makes one question of the questions of those who stand at the same place', async () => {
    const poll = createPoll(10)
    const share = shareCalls<number>()
    const { signal } = new AbortController()
    let calls = 0
    const read = async (place: string) => {
      await poll(signal)
      return share(place, async () => {
        calls++
        await new Promise((resolve) => setTimeout(resolve, 5))
        return calls
      })
    }
    const places = Array.from({ length: 40 }, (_, index) => (index === 7 ? 'behind' : 'head'))
    for (let round = 1; round <= 3; round++) {
      await Promise.all(places.map(read))
      expect(calls).toBe(round * 2)
    }
  })

  it('ends a question when nobody waits for it, and one who leaves takes nothing from the others', async () => {
    const share = shareCalls<string>()
    const readers = [new AbortController(), new AbortController()]
    let ended = 0
    let answer = (_text: string) => {}
    const ask = ({ signal }: AbortController) =>
      share(
        'head',
        (shared) => {
          shared.addEventListener('abort', () => ended++)
          return new Promise((resolve) => {
            answer = resolve
          })
        },
        { signal },
      )
    const [first, second] = readers.map(ask)
    readers[0]!.abort(new Error('gone'))
    await expect(first).rejects.toThrow('gone')
    expect(ended).toBe(0)
    answer('news')
    expect(await second).toBe('news')
    const alone = ask(readers[1]!)
    readers[1]!.abort(new Error('gone'))
    await expect(alone).rejects.toThrow('gone')
    expect(ended).toBe(1)
    const later = ask(new AbortController())
    answer('later news')
    expect(await later).toBe('later news')
  })

  it('whose question fails is the trouble of who asked it: others who can leave ask for themselves', async () => {
    const share = shareCalls<string>()
    const { signal } = new AbortController()
    const busy = share('head', () => Promise.reject(new Error('busy')), { signal })
    const other = share('head', async () => 'news', { signal })
    await expect(busy).rejects.toThrow('busy')
    expect(await other).toBe('news')
  })

  it('a question that failed is asked again, and fails for all who shared it', async () => {
    const share = shareCalls<number>()
    let calls = 0
    const ask = () =>
      share('head', async () => {
        if (++calls === 1) throw new Error('no database')
        return calls
      })
    const outcomes = await Promise.allSettled([ask(), ask()])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await ask()).toBe(2)
  })
})
