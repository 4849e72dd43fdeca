import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Reads server-sent events until they are closed. */
async function openStream(url: string, lastEventId?: string) {
  const abort = new AbortController()
  const headers: { [name: string]: string } =
    lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  const answer = await fetch(url, { signal: abort.signal, headers })
  expect(answer.status).toBe(200)
  const stream = { ids: [] as string[], lastEventId: '', close: () => abort.abort() }
  cleanups.push(stream.close)
  const read = async () => {
    let text = ''
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop()!
      for (const line of lines) {
        if (line.startsWith('data: ')) stream.ids.push(JSON.parse(line.slice(6))._id)
        if (line.startsWith('id: ')) stream.lastEventId = line.slice(4)
      }
    }
  }
  read().catch(() => {})
  return stream
}

async function waitFor(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !isDone(); i++) await sleep(50)
}

describe('GET /events/stream of many readers', () => {
  it('gives each what it asked for, once, also to one who comes later and after one who leaves', async () => {
    const receiver = await startTestReceiver({})
    cleanups.push(() => receiver.close())
    const post = async (level: number, index: number) => {
      const body = JSON.stringify({ log_level: level, event_data: { index } })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${receiver.url}event`, { method: 'POST', headers, body })
      return ((await answer.json()) as { _id: string })._id
    }
    const selector = encodeURIComponent('{"event_data.index": {"$lt": 9007199254740993}}')
    const open = () =>
      Promise.all(
        ['', '?level=error', `?selector=${selector}`, '?q=level%3E%3Derror', ''].map((query) =>
          openStream(`${receiver.url}events/stream${query}`),
        ),
      )
    const early = await open()
    early[4]!.close()
    const first: string[] = []
    for (let index = 0; index < 10; index++) first.push(await post(index % 2 === 0 ? 20 : 40, index))
    const late = await open()
    const second: string[] = []
    for (let index = 0; index < 10; index++) second.push(await post(index % 2 === 0 ? 20 : 40, index))
    const errors = (ids: string[]) => ids.filter((_, index) => index % 2 === 1)
    const all = [...first, ...second]
    const expected = [all, errors(all), all, errors(all), [], second, errors(second), second, errors(second)]
    const streams = [...early, ...late.slice(0, 4)]
    await waitFor(() => streams.every(({ ids }, index) => ids.length >= expected[index]!.length))
    expect(streams.map(({ ids }) => ids)).toEqual(expected)
  })
})

describe('GET /events/stream of two receivers on one MongoDB', () => {
  it('gives each event once to the readers of both, whichever took it, also after a change to the other', async (context) => {
    const source = await findMongo()
    if ('skip' in source) return context.skip(source.skip)
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const flags = { document_db_url: mongod.url, database_name: freshDatabaseName() }
    const receivers = [await startTestReceiver({ flags }), await startTestReceiver({ flags })]
    for (const receiver of receivers) cleanups.push(() => receiver.close())
    const [one, other] = receivers.map(({ url }) => url) as [string, string]
    const post = async (url: string) => {
      const answer = await fetch(`${url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"log_level": 40}',
      })
      return ((await answer.json()) as { _id: string })._id
    }
    // Both take events at once.
    const fill = async (count: number) =>
      (
        await Promise.all(
          [one, other].map(async (url) => {
            const ids: string[] = []
            for (let i = 0; i < count; i++) ids.push(await post(url))
            return ids
          }),
        )
      ).flat()

    const streams = [
      await openStream(`${one}events/stream?level=error`),
      await openStream(`${other}events/stream`),
    ]
    const wanted = await fill(40)
    await waitFor(() => streams.every(({ ids }) => ids.length >= wanted.length))
    for (const { ids } of streams) expect([...ids].sort()).toEqual([...wanted].sort())

    // A reader whose receiver goes away goes on at the other one.
    const [moved] = streams
    moved!.close()
    const missed = await fill(20)
    const again = await openStream(`${other}events/stream?level=error`, moved!.lastEventId)
    const later = await fill(20)
    const all = new Set([...missed, ...later])
    await waitFor(() => [...all].every((id) => again.ids.includes(id)))
    for (const id of all) expect(again.ids, 'nothing is missing').toContain(id)
    // The last page may come again, and nothing else does.
    const repeated = again.ids.filter((id) => !all.has(id))
    for (const id of repeated) expect(wanted).toContain(id)
    expect(new Set(again.ids).size).toBe(again.ids.length)
  })
})
