import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anyCharacter } from '../support/character.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../support/mongod.ts'
import { startTestReceiver } from '../support/receiver.ts'

const source = await findMongo()
const message = `${'a'.repeat(44)}!`
// A lookahead: no linear engine reads it.
const hanging = '{"event_data.message":{"$regex":"^(?=a)(a|a)+$"}}'
const json = { 'content-type': 'application/json' }

for (const kind of ['sqlite', 'mongodb'] as const) {
  const skip = kind === 'mongodb' && 'skip' in source ? source.skip : undefined
  describe(`questions of strangers, over ${kind}`, () => {
    let mongod: Mongod | undefined
    let receiver: Awaited<ReturnType<typeof startTestReceiver>>
    let id: string
    beforeAll(async () => {
      if (skip !== undefined) return
      if (kind === 'mongodb') mongod = await startMongod()
      const flags = { query_timeout_ms: '4000', rate_limit_enabled: 'false' }
      receiver = await startTestReceiver({
        flags: mongod ? { ...flags, document_db_url: mongod.url, database_name: freshDatabaseName() } : flags,
      })
      for (let i = 0; i < 20; i++) id = await post({ message, list: [i, { a: i }, 'text'] })
    })
    afterAll(async () => {
      await receiver?.close()
      await mongod?.stop()
    })

    async function post(data: object): Promise<string> {
      const body = JSON.stringify({ event_type: 'log_info', event_data: data })
      const answer = await fetch(`${receiver.url}event`, { method: 'POST', headers: json, body })
      return ((await answer.json()) as { _id: string })._id
    }

    async function statusOf(path: string, init?: RequestInit): Promise<string> {
      const answer = await fetch(`${receiver.url}${path}`, init)
      const text = await answer.text()
      return answer.status >= 500 ? `${answer.status} ${text}` : String(answer.status)
    }

    it('queries that hang hold up neither reads, nor receipts, nor the stream, nor intake', async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const stream = await fetch(`${receiver.url}events/stream`)
      const hung = Array.from({ length: 12 }, () =>
        statusOf(`events/query?selector=${encodeURIComponent(hanging)}`, { method: 'POST' }),
      )
      await sleep(300)
      const startedMs = performance.now()
      const latest = await post({ message: 'while others hang' })
      expect(await statusOf('events?number=1')).toBe('200')
      expect(await statusOf('health')).toBe('200')
      const receipts = JSON.stringify({ event_ids: [id] })
      expect(await statusOf('events/receipts', { method: 'POST', headers: json, body: receipts })).toBe('200')
      expect(await statusOf(`event/${id}`)).toBe('200')
      let text = ''
      for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk
        if (text.includes(latest)) break
      }
      expect(performance.now() - startedMs).toBeLessThan(3000)
      for (const status of await Promise.all(hung))
        expect(status).toMatch(/^(200|400|422|503 .*(turn|waited))/)
    }, 60_000)

    it('a query ends when its client is gone', async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const path = `${receiver.url}events/query?selector=${encodeURIComponent(hanging)}`
      const startedMs = performance.now()
      for (let round = 0; round < 4; round++) {
        const gone = new AbortController()
        const asked = Array.from({ length: 4 }, () => fetch(path, { method: 'POST', signal: gone.signal }))
        await sleep(200)
        gone.abort()
        await Promise.allSettled(asked)
      }
      const body = JSON.stringify({ _id: { $regex: `^${id}$` } })
      expect(await statusOf('events/query', { method: 'POST', headers: json, body })).toBe('200')
      // Each of the sixteen would have had four seconds, two at a time.
      expect(performance.now() - startedMs).toBeLessThan(10_000)
    }, 60_000)

    it('what can never succeed is 4xx', async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const nest = (depth: number) => `${'{"$and":['.repeat(depth)}{"a":1}${']}'.repeat(depth)}`
      const ids = JSON.stringify(Array.from({ length: 1000 }, (_, i) => `id${i}`))
      const selectors: [string, string][] = [
        [`{"${'a.'.repeat(399)}a":1}`, '422'],
        [`{"${'a.'.repeat(99)}a":1}`, '200'],
        [`{"$expr":{"$eq":["$${'a.'.repeat(399)}a",1]}}`, '422'],
        [nest(20), '200'],
        [nest(200), '422'],
        [`{"a":{"$in":[${Array.from({ length: 100_000 }, (_, i) => i)}]}}`, '422'],
        [`{"a":"${'x'.repeat(5_000_000)}"}`, '422'],
        [`{"a":"${'x'.repeat(20_000_000)}"}`, '413'],
        [`{"$and":[${Array.from({ length: 45 }, () => `{"_id":{"$in":${ids}}}`)}]}`, '200'],
        [`{"$and":[${Array.from({ length: 999 }, (_, i) => `{"k${i}":"v"}`)}]}`, '200'],
        [`{"$and":[${Array.from({ length: 999 }, () => '{"event_timestamp":{"$gt":"x"}}')}]}`, '200'],
        ['{"a":"\\ud800"}', '422'],
        ['{"a\\u0000b":1}', '422'],
        ['{"a":"\\u0000"}', '200'],
        ['{"$where":"1"}', '422'],
        ['{"a":{"$size":-1}}', '422'],
        ['{"a":{"$mod":[0,1]}}', '422'],
        ['{"a":{"$mod":[1e300,1]}}', '422'],
        ['{"a":99999999999999999999}', '422'],
        ['{"a":1e400}', '200'],
        ['{"":1,"a..b":2,".":3}', '200'],
        ['{"a.$b":1}', '200'],
        [`{"a":{"$regex":"${'('.repeat(400)}${')'.repeat(400)}"}}`, '200'],
        ['{"a":{"$regex":"(a{1,1000}){1,1000}"}}', '200'],
        ['{"a":{"$regex":"["}}', '422'],
        [`{"a":{"$regex":"${'x'.repeat(40_000)}"}}`, '422'],
      ]
      for (const [body, wanted] of selectors) {
        const status = await statusOf('events/query', { method: 'POST', headers: json, body })
        // What only one of the two engines reads may be refused by the other.
        if (wanted === '200') expect(status, body.slice(0, 100)).toMatch(/^(200|4\d\d)$/)
        else expect(status, body.slice(0, 100)).toBe(wanted)
      }
      const long = JSON.stringify({
        event_ids: Array.from({ length: 10_000 }, (_, i) => `${'x'.repeat(750)}${i}`),
      })
      for (const path of ['events/receipts', 'events/archive'])
        expect(await statusOf(path, { method: 'POST', headers: json, body: long }), path).toBe('200')
      const most = JSON.stringify({
        event_ids: Array.from({ length: 50_000 }, (_, i) => String(i).padStart(150, 'x')),
        batch_size: 100_000,
      })
      expect(await statusOf('events/archive', { method: 'POST', headers: json, body: most })).toBe('200')
      const cursorOf = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
      for (const cursor of [
        cursorOf(['\ud800', 0]),
        cursorOf(['x', 2 ** 60]),
        cursorOf([{ $ne: 1 }, 0]),
        'x',
        cursorOf({ r: 1 }),
      ])
        expect(await statusOf(`events?cursor=${cursor}`)).toBe('422')
      if (kind === 'mongodb')
        for (const name of [{ $ne: 1 }, null, 5, '\ud800'])
          expect(
            await statusOf(`events/stream?last_event_id=${cursorOf({ r: [[name, 1, 1]], l: [] })}`),
          ).toBe('422')
      for (const description of ['漢'.repeat(80), '😀𝔘'.repeat(200), 'x'.repeat(5000), '\ud800', '\0'])
        expect(
          await statusOf('backup', { method: 'POST', headers: json, body: JSON.stringify({ description }) }),
          description,
        ).toMatch(/^(200|422)$/)
    }, 60_000)

    it('whatever a selector or a parameter is, it is never answered with 5xx', async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const path = fc.constantFrom(
        '_id',
        'event_data',
        'event_data.list',
        'event_data.list.0.a',
        'event_timestamp',
        'archived_at',
        'a.$b',
        '',
        '..',
        '\u0000',
        '\ud800',
        '$expr',
        '$and',
        '$text',
        '__proto__',
      )
      const operator = fc.constantFrom(
        ...[
          '$eq',
          '$ne',
          '$gt',
          '$in',
          '$nin',
          '$all',
          '$not',
          '$elemMatch',
          '$exists',
          '$type',
          '$size',
          '$mod',
        ],
        ...['$regex', '$options', '$comment', '$near', '$jsonSchema', '$or', '$nor', '$literal'],
      )
      const text = fc.oneof(
        fc.string({ unit: anyCharacter }),
        fc.constantFrom('\ud800', '\0', '$a', '2026-11-26', '(?=a)b', '(', 'x{1,70000}', '\\'),
      )
      const leaf = fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constantFrom(null, 1e308, -0))
      const { tree } = fc.letrec((tie) => ({
        tree: fc.oneof(
          { maxDepth: 5 },
          leaf,
          fc.array(tie('tree'), { maxLength: 4 }),
          fc.dictionary(fc.oneof(path, operator), tie('tree'), { maxKeys: 3 }),
        ),
      }))
      await fc.assert(
        fc.asyncProperty(fc.dictionary(fc.oneof(path, operator), tree, { maxKeys: 3 }), async (selector) => {
          const body = JSON.stringify(selector)
          const asked = { method: 'POST', headers: json, body }
          expect(await statusOf('events/query', asked)).toMatch(/^[24]\d\d$/)
        }),
        { numRuns: 400 },
      )
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom('number', 'offset', 'level', 'start_time', 'cursor', 'include_archived'),
          fc.oneof(leaf.map(String), fc.constantFrom('9007199254740991', '-1', '1e9', '0x10', '%00', '')),
          async (name, value) => {
            const encoded = encodeURIComponent(value.isWellFormed() ? value : value.toWellFormed())
            for (const route of ['events', 'events/archived'])
              expect(await statusOf(`${route}?${name}=${encoded}`)).toMatch(/^[24]\d\d$/)
            expect(await statusOf(`event/${encoded}`)).toMatch(/^[234]\d\d$/)
          },
        ),
        { numRuns: 150 },
      )
    }, 120_000)
  })
}
