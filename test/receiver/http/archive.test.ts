import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'
import { startTestReceiver } from '../../support/receiver.ts'

interface Answer {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: an answer is looked into as it is
  json: any
}

for (const backend of ['sqlite', 'mongodb'] as const) {
  describe(`archive, pages, receipts and the stream over ${backend}`, () => {
    let receiver: Awaited<ReturnType<typeof startTestReceiver>>
    let mongod: Mongod | undefined
    let skipReason = ''
    beforeAll(async () => {
      let flags: { [name: string]: string } = {}
      if (backend === 'mongodb') {
        const source = await findMongo()
        if ('skip' in source) {
          skipReason = source.skip
          return
        }
        mongod = await startMongod()
        flags = { document_db_url: mongod.url, database_name: freshDatabaseName() }
      }
      receiver = await startTestReceiver({ flags })
    })
    beforeEach((context) => context.skip(skipReason !== '', skipReason))
    afterAll(async () => {
      await receiver?.close()
      await mongod?.stop()
    })

    async function call(method: string, path: string, body?: unknown): Promise<Answer> {
      const answer = await fetch(receiver.url + path, {
        method,
        ...(body !== undefined && {
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        }),
      })
      const text = await answer.text()
      const isJson = answer.headers.get('content-type')?.includes('json')
      return {
        status: answer.status,
        headers: answer.headers,
        text,
        json: isJson ? JSON.parse(text) : undefined,
      }
    }
    const post = async (fields: object = {}) => {
      const event_id = createEventId()
      expect((await call('POST', 'event', { event_id, ...fields })).status).toBe(200)
      return event_id
    }

    it('archives by ids, counts what changed, and lists it last archived first', async () => {
      const [a, b, c] = [await post(), await post(), await post()]
      const first = await call('POST', 'events/archive', { event_ids: [a, a, 'nope'] })
      expect(first.json).toEqual({ archived_count: 1, message: 'Successfully archived 1 events' })
      await new Promise((resolve) => setTimeout(resolve, 5))
      const second = await call('POST', 'events/archive', { event_ids: [a, b], batch_size: 1 })
      expect(second.json.archived_count).toBe(1)
      const listed = await call('GET', 'events/archived?number=2')
      expect([...listed.text.matchAll(/"_id":"([^"]*)"/g)].map((match) => match[1])).toEqual([b, a])
      expect(listed.json[a]).toMatchObject({ archived: true })
      expect(listed.json[a].archived_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$/)
      const events = await call('GET', 'events?number=0')
      expect(Object.keys(events.json)).toContain(c)
      expect(Object.keys(events.json)).not.toContain(a)
      expect(Object.keys((await call('GET', 'events?number=0&include_archived=yes')).json)).toContain(a)
    })

    it('archives strictly before a time, in as many commits as it takes', async () => {
      const ids: string[] = []
      for (let i = 0; i < 7; i++) ids.push(await post({ event_timestamp: `2001-01-0${i + 1}T00:00:00Z` }))
      const body = { before_date: '2001-01-06', batch_size: 2 }
      expect((await call('POST', 'events/archive', body)).json.archived_count).toBe(5)
      expect((await call('GET', `event/${ids[5]}`)).json.archived).toBe(false)
      expect((await call('GET', `event/${ids[4]}`)).json.archived).toBe(true)
    })

    it('tells what is wrong with a request to archive', async () => {
      const neither = await call('POST', 'events/archive', { event_ids: [] })
      expect(neither.status).toBe(422)
      expect(neither.json.detail).toMatchObject([
        {
          type: 'value_error',
          loc: ['body'],
          msg: 'Value error, Either event_ids or before_date must be provided',
        },
      ])
      const wrong = await call('POST', 'events/archive', {
        event_ids: [1],
        before_date: 'soon',
        batch_size: 0,
      })
      expect(wrong.json.detail.map((one: { loc: unknown }) => one.loc)).toEqual([
        ['body', 'event_ids', 0],
        ['body', 'before_date'],
        ['body', 'batch_size'],
      ])
      for (const body of [[], 'x', 3]) expect((await call('POST', 'events/archive', body)).status).toBe(422)
      for (const days of ['-1', 'x', '1e9', '99999999999999999999'])
        expect((await call('DELETE', `events/archived?older_than_days=${days}`)).status, days).toBe(422)
    })

    it('purges what was archived long enough ago, and nothing else', async () => {
      const [gone, kept] = [await post(), await post()]
      await call('POST', 'events/archive', { event_ids: [gone] })
      const none = await call('DELETE', 'events/archived?older_than_days=1')
      expect(none.json.message).toBe('Permanently deleted 0 archived events older than 1 days')
      const { total_events: before } = (await call('GET', 'health')).json
      const all = await call('DELETE', 'events/archived?older_than_days=0')
      expect(all.json.deleted_count).toBeGreaterThanOrEqual(1)
      expect((await call('GET', `event/${gone}`)).status).toBe(404)
      expect((await call('GET', `event/${kept}`)).status).toBe(200)
      const { total_events: after } = (await call('GET', 'health')).json
      expect(before - after).toBe(all.json.deleted_count)
      const sent = { event_id: createEventId(), archived: true, archived_at: '2020-01-01T00:00:00Z' }
      await call('POST', 'event', sent)
      expect((await call('DELETE', 'events/archived')).json.deleted_count).toBe(1)
    })

    it('goes through all events by cursor, also where many have the same time', async () => {
      const wanted: string[] = []
      for (let i = 0; i < 25; i++) {
        const second = i < 15 ? 30 : 30 + i
        wanted.push(await post({ event_timestamp: `2002-02-02T00:00:${second}Z` }))
      }
      const range = 'start_time=2002-02-02T00:00:00Z&end_time=2002-02-02T01:00:00Z'
      const seen: string[] = []
      let cursor = ''
      for (let pages = 0; ; pages++) {
        expect(pages).toBeLessThan(20)
        const page = await call('GET', `events?number=4&${range}&cursor=${cursor}`)
        expect(page.status).toBe(200)
        seen.push(...Object.keys(page.json))
        const next = page.headers.get('x-next-cursor')
        if (next === null) break
        expect(page.headers.get('link')).toContain(`cursor=${next}`)
        cursor = next
      }
      expect(seen).toHaveLength(25)
      expect(new Set(seen)).toEqual(new Set(wanted))
      const whole = await call('GET', `events?number=0&${range}`)
      expect(seen).toEqual(Object.keys(whole.json))
      for (const wrong of ['cursor=x', 'cursor=W10', 'cursor=&number=0', 'cursor=&number=10001'])
        expect((await call('GET', `events?${wrong}`)).status, wrong).toBe(422)
    })

    it('gives receipts: what is stored, in the order of commit, and what is not', async () => {
      const [a, b] = [await post(), await post()]
      const missing = createEventId()
      const answer = await call('POST', 'events/receipts', { event_ids: [b, missing, a, a] })
      expect(answer.json.missing).toEqual([missing])
      expect(Object.keys(answer.json.stored).sort()).toEqual([a, b].sort())
      expect(answer.json.stored[a].commit).not.toBe(answer.json.stored[b].commit)
      for (const body of [
        {},
        { event_ids: 'x' },
        { event_ids: [1] },
        [],
        { event_ids: Array(10_001).fill('x') },
      ])
        expect((await call('POST', 'events/receipts', body)).status).toBe(422)
    })

    it('takes a selector as the Python client sends it', async () => {
      const id = await post({ event_type: 'test', event_data: { flag: true, none: null } })
      const selector = encodeURIComponent(
        `{'_id': '${id}', 'event_type': <EventType.TEST: 'test'>, 'log_level': {'$gte': <EventLogLevel.DEBUG: 10>}, 'event_data.flag': True, 'event_data.none': None}`,
      )
      const answer = await call('POST', `events/query?selector=${selector}`)
      expect(Object.keys(answer.json)).toEqual([id])
      for (const wrong of ['__import__', "{'a': <b>}", "{'a': <b.c: 1}", "{'a': <b.c: <"])
        expect((await call('POST', `events/query?selector=${encodeURIComponent(wrong)}`)).status).toBe(422)
      expect((await call('POST', 'events/query')).status).toBe(422)
    })

    it('streams new events with filters, and goes on behind the last one', async () => {
      const reader = await openStream('events/stream?level=warning&selector={"event_data.lane":1}')
      const wanted: string[] = []
      for (let i = 0; i < 12; i++) {
        const level = i % 3 === 0 ? 20 : 40
        const lane = i % 2
        const id = await post({ log_level: level, event_data: { lane } })
        if (level === 40 && lane === 1) wanted.push(id)
      }
      expect((await reader.take(wanted.length)).map(({ _id }) => _id)).toEqual(wanted)
      reader.close()
      const missed = [await post({ log_level: 40, event_data: { lane: 1 } })]
      const again = await openStream(
        'events/stream?level=warning&selector={"event_data.lane":1}',
        reader.lastEventId,
      )
      missed.push(await post({ log_level: 40, event_data: { lane: 1 } }))
      expect((await again.take(2)).map(({ _id }) => _id)).toEqual(missed)
      again.close()
      expect((await call('GET', 'events/stream?selector={')).status).toBe(422)
      expect((await call('GET', 'events/stream?last_event_id=!!')).status).toBe(422)
    })

    async function openStream(path: string, lastEventId?: string) {
      const abort = new AbortController()
      const answer = await fetch(receiver.url + path, {
        signal: abort.signal,
        headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
      })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toContain('text/event-stream')
      const body = answer.body!.getReader()
      let text = ''
      let lastId = ''
      const events: { _id: string }[] = []
      const state = {
        get lastEventId() {
          return lastId
        },
        async take(count: number) {
          const deadline = Date.now() + 20_000
          while (events.length < count || !text.endsWith('\n\n')) {
            if (Date.now() > deadline) throw new Error(`${events.length} of ${count} events came`)
            const { value, done } = await body.read()
            if (done) throw new Error('the stream ended')
            text += Buffer.from(value).toString('utf8')
            for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
              for (const line of text.slice(0, end).split('\n')) {
                if (line.startsWith('id: ')) lastId = line.slice(4)
                if (line.startsWith('data: ')) events.push(JSON.parse(line.slice(6)))
              }
              text = text.slice(end + 2)
            }
            if (events.length >= count && text === '') break
          }
          return events
        },
        close: () => abort.abort(),
      }
      return state
    }
  })
}
