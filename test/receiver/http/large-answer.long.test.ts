import { afterEach, describe, expect, it } from 'vitest'
import { readIds } from '../../support/answer-ids.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const json = { 'content-type': 'application/json' }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

for (const kind of ['sqlite', 'mongodb'] as const) {
  describe(`answers longer than a text can be, over ${kind}`, () => {
    it('GET /events, its pages and the stream give any number of the largest events', async (context) => {
      const flags: { [name: string]: string } = {}
      if (kind === 'mongodb') {
        const source = await findMongo()
        if ('skip' in source) return context.skip(source.skip)
        const mongod = await startMongod()
        cleanups.push(() => mongod.stop())
        Object.assign(flags, { document_db_url: mongod.url, database_name: freshDatabaseName() })
      }
      const { url, close } = await startTestReceiver({ flags })
      cleanups.push(close)
      // The place from which the stream is read later: one that is not read is closed.
      const reader = (await fetch(`${url}events/stream`)).body!.getReader()
      const begin = Buffer.from((await reader.read()).value!).toString()
      const lastEventId = /^id: (.*)$/m.exec(begin)![1]!
      await reader.cancel()
      const wanted: string[] = []
      for (let i = 0; i < 40; i++) {
        const body = JSON.stringify({
          event_type: 'log_info',
          event_data: { message: 'x'.repeat(14_000_000), i },
        })
        const answer = await fetch(`${url}event`, { method: 'POST', headers: json, body })
        wanted.push(((await answer.json()) as { _id: string })._id)
      }
      wanted.sort()
      const isAll = (ids: ReadonlySet<string>) => ids.size === wanted.length
      expect((await readIds(await fetch(`${url}events?number=0`))).sort()).toEqual(wanted)
      expect(
        (
          await readIds(await fetch(`${url}events/query`, { method: 'POST', headers: json, body: '{}' }))
        ).sort(),
      ).toEqual(wanted)
      const paged: string[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const answer: Response = await fetch(`${url}events?number=10000&cursor=${cursor}`)
        cursor = answer.headers.get('x-next-cursor')
        paged.push(...(await readIds(answer)))
      }
      expect(paged.sort()).toEqual(wanted)
      const stream = await fetch(`${url}events/stream`, { headers: { 'last-event-id': lastEventId } })
      expect((await readIds(stream, isAll)).sort()).toEqual(wanted)
    }, 300_000)
  })
}
