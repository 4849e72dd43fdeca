import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestReceiver } from '../../support/receiver.ts'

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  receiver = await startTestReceiver({ flags: { max_body_bytes: '1000000' } })
})
afterAll(() => receiver.close())

const post = (path: string, body: unknown, type: string | null = 'application/json') =>
  fetch(receiver.url + path, {
    method: 'POST',
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    headers: type === null ? {} : { 'content-type': type },
  })
const get = (path: string) => fetch(receiver.url + path)
const ulid = '01JJ4S0WNGEF5FQAZG5KDGJRBV'

describe('POST /event', () => {
  it('an id that is stored already is answered with what is stored; other content is counted', async () => {
    const event_id = createEventId()
    const first = await (await post('event', { event_id, event_data: { message: 'first' } })).text()
    const conflicts = () => receiver.metric.total('events_conflicting')
    const before = conflicts()
    // Sent again by a client that has no answer: the time, which it left out, is another.
    const again = await post('event', { event_id, event_data: { message: 'first' } })
    expect([again.status, await again.text()]).toEqual([200, first])
    expect(conflicts()).toBe(before)
    for (const other of [
      { event_data: { message: 'second' } },
      { event_data: { message: 'first' }, log_level: 40 },
      { event_data: { message: 'first' }, event_timestamp: '2020-01-01T00:00:00Z' },
    ]) {
      const answer = await post('event', { event_id, ...other })
      expect([answer.status, await answer.text()]).toEqual([200, first])
    }
    expect(conflicts()).toBe(before + 3)
  })

  it('answers the stored event with all fields in their order, defaults filled in', async () => {
    const sent = {
      event_type: 'NODE_CREATE',
      log_level: 'warning',
      event_data: { a: [1, null] },
      source: { node_id: ulid, user_id: null, unknown: 1 },
      event_timestamp: '2025-01-01T00:00:00+01:00',
      unknown: true,
    }
    const answer = await post('event', sent)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toContain('application/json')
    const text = await answer.text()
    const event = JSON.parse(text)
    expect(Object.keys(event)).toEqual([
      '_id',
      'event_type',
      'log_level',
      'alert',
      'event_timestamp',
      'source',
      'event_data',
      'trace_id',
      'span_id',
      'archived',
      'archived_at',
    ])
    expect(event).toMatchObject({
      event_type: 'node_create',
      log_level: 30,
      event_timestamp: '2024-12-31T23:00:00.000000Z',
      source: { node_id: ulid },
      event_data: { a: [1, null] },
      trace_id: null,
    })
    expect(await (await get(`event/${event._id}`)).text()).toBe(text)
  })

  it('takes an empty object, and gives it the manager as its source', async () => {
    const event = (await (await post('event', {})).json()) as { [key: string]: unknown }
    expect(event).toMatchObject({ event_type: 'unknown', log_level: 20, event_data: {}, alert: false })
    expect((event.source as { manager_id: string }).manager_id).toMatch(/^[0-9A-Z]{26}$/)
  })

  it('answers a known id with 200, and the first event stays', async () => {
    const id = createEventId()
    await post('event', { event_id: id, event_data: { first: true } })
    const again = await post('event', { event_id: id, event_data: { first: false } })
    expect(again.status).toBe(200)
    expect(await again.json()).toMatchObject({ event_data: { first: true } })
    expect(await (await get(`event/${id}`)).json()).toMatchObject({ event_data: { first: true } })
  })

  it('keeps every digit, key and string of event_data', async () => {
    const data =
      '{"ns":1764012345678901234,"min":-9223372036854775808,"$gt":1,"a.b":2,"":3,"__proto__":{"x":1},"date":"2025-01-01","nul":"a\\u0000b","f":1.5,"2":"b","1":"a","$oid":{"$date":1}}'
    const id = createEventId()
    expect((await post('event', `{"event_id":"${id}","event_data":${data}}`)).status).toBe(200)
    const text = await (await get(`event/${id}`)).text()
    expect(text).toContain('1764012345678901234')
    expect(text).toContain('-9223372036854775808')
    expect(text).toContain('"__proto__":{"x":1}')
    expect(text).toContain('"nul":"a\\u0000b"')
    expect(JSON.parse(text).event_data).toEqual(JSON.parse(data))
  })

  it('reads NaN and the infinities as null, but not inside strings', async () => {
    const answer = await post(
      'event',
      '{"event_data":{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN \\" Infinity"}}',
    )
    expect(await answer.json()).toMatchObject({
      event_data: { a: null, b: [null, null], c: 'NaN " Infinity' },
    })
  })

  it.each([
    ['nothing', '', 'missing', ['body']],
    ['null', 'null', 'missing', ['body']],
    ['no JSON', '{"a":', 'json_invalid', ['body', 5]],
    ['a list', '[]', 'model_attributes_type', ['body']],
    ['a bad type', '{"event_type":"experiment_halt"}', 'enum', ['body', 'event_type']],
    ['a bad level', '{"log_level":15}', 'enum', ['body', 'log_level']],
    ['a bad flag', '{"alert":2}', 'bool_parsing', ['body', 'alert']],
    [
      'a bad time',
      '{"event_timestamp":"2025-02-30"}',
      'datetime_from_date_parsing',
      ['body', 'event_timestamp'],
    ],
    ['a bad id', '{"source":{"node_id":"notulid"}}', 'value_error', ['body', 'source', 'node_id']],
    ['a bad trace', '{"trace_id":7}', 'string_type', ['body', 'trace_id']],
  ])('answers %s with 422 in the form of FastAPI', async (_name, body, type, loc) => {
    const answer = await post('event', body)
    expect(answer.status).toBe(422)
    const { detail } = (await answer.json()) as { detail: { type: string; loc: unknown; msg: string }[] }
    expect(detail[0]).toMatchObject({ type, loc })
    expect(detail[0]!.msg).not.toBe('')
  })

  it('reports all problems together', async () => {
    const answer = await post('event', { event_type: 'x', log_level: 15, alert: 'maybe' })
    expect(((await answer.json()) as { detail: unknown[] }).detail).toHaveLength(3)
  })

  it('counts a body of another content type as text', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', null]) {
      const answer = await post('event', new TextEncoder().encode('{}'), type)
      expect(answer.status, String(type)).toBe(422)
    }
    expect((await post('event', '{}', 'application/vnd.lab+json; charset=utf-8')).status).toBe(200)
  })

  it.each([
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 400],
    ['an integer beyond 64 bits', '{"event_data":{"a":99999999999999999999999}}', 422],
    ['NUL in a key', '{"event_data":{"a\\u0000b":1}}', 422],
    ['a lone surrogate', '{"event_data":{"a":"\\ud800"}}', 422],
    ['nesting of 5,000', `{"event_data":${'['.repeat(5000)}${']'.repeat(5000)}}`, 422],
    ['nesting of 200,000', `{"event_data":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 422],
    ['an empty id', '{"event_id":""}', 422],
    ['too large a body', `{"event_data":"${'x'.repeat(1_000_001)}"}`, 413],
  ])('refuses %s, and the next request is served', async (_name, body, status) => {
    const answer = await post('event', body)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toHaveProperty('detail')
    expect((await post('event', {})).status).toBe(200)
  })

  it('refuses too large a body that does not announce its length', async () => {
    const status = await new Promise((resolve, reject) => {
      const request = httpRequest(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
      })
      request.on('response', (response) => resolve(response.statusCode))
      request.on('error', reject)
      request.write(`{"event_data":"${'x'.repeat(600_000)}`)
      request.end(`${'x'.repeat(600_000)}"}`)
    })
    expect(status).toBe(413)
  })

  it('survives a client that leaves in the middle of its body', async () => {
    const { port } = new URL(receiver.url)
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write(
          'POST /event HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a"',
        )
        setTimeout(() => socket.destroy(), 50)
      })
      socket.on('close', () => resolve())
    })
    expect((await post('event', {})).status).toBe(200)
  })

  it('nests as deep as the original', async () => {
    const answer = await post('event', `{"event_data":${'['.repeat(150)}${']'.repeat(150)}}`)
    expect(answer.status).toBe(200)
  })
})

describe('routes', () => {
  it('answers what it does not know with 404 Not Found', async () => {
    const answer = await get('nothing')
    expect([answer.status, await answer.json()]).toEqual([404, { detail: 'Not Found' }])
  })

  it('answers another method with 405, HEAD too', async () => {
    const answer = await get('event')
    expect([answer.status, await answer.json()]).toEqual([405, { detail: 'Method Not Allowed' }])
    expect(answer.headers.get('allow')).toBe('POST')
    expect((await fetch(`${receiver.url}health`, { method: 'HEAD' })).status).toBe(405)
  })

  it('redirects a trailing slash', async () => {
    const answer = await fetch(`${receiver.url}events/?number=1`, { redirect: 'manual' })
    expect(answer.status).toBe(307)
    expect(answer.headers.get('location')).toBe('/events?number=1')
    expect((await post('event/', {})).status).toBe(200)
  })

  it('answers an unknown event with 404 and its id', async () => {
    const answer = await get('event/nope')
    expect([answer.status, await answer.json()]).toEqual([404, { detail: 'Event with ID nope not found' }])
  })

  it('tells its health', async () => {
    const health = (await (await get('health')).json()) as { [key: string]: unknown }
    expect(Object.keys(health)).toEqual([
      'healthy',
      'description',
      'version',
      'db_connected',
      'total_events',
      'otel_enabled',
      'otel_exporter_type',
      'otel_endpoint',
    ])
    expect(health).toMatchObject({ healthy: true, db_connected: true })
    await post('event', {})
    const later = (await (await get('health')).json()) as { total_events: number }
    expect(later.total_events).toBe((health.total_events as number) + 1)
  })
})

describe('GET /events', () => {
  const ids = ['7', 'lib-b', '3', 'lib-d']
  beforeAll(async () => {
    let second = 0
    for (const event_id of ids) {
      await post('event', {
        event_id,
        log_level: second < 2 ? 10 : 40,
        event_timestamp: `2001-01-01T00:00:0${second++}Z`,
        event_data: { library: true, place: second },
        archived: event_id === 'lib-d',
      })
    }
  })
  const range = 'start_time=2001-01-01T00:00:00Z&end_time=2001-01-01T00:00:03Z'
  const keys = async (query: string) => {
    const text = await (await get(`events?${query}`)).text()
    return [...text.matchAll(/"_id":"([^"]+)"/g)].map((match) => match[1])
  }

  it('gives an object keyed by id, newest first, ids like integers too', async () => {
    const text = await (await get(`events?${range}`)).text()
    expect([...text.matchAll(/"([^"]+)":\{"_id"/g)].map((match) => match[1])).toEqual(['3', 'lib-b', '7'])
  })

  it('pages, filters by level and shows archived events when asked', async () => {
    expect(await keys(`${range}&include_archived=true`)).toEqual(['lib-d', '3', 'lib-b', '7'])
    expect(await keys(`${range}&number=1&offset=1`)).toEqual(['lib-b'])
    expect(await keys(`${range}&number=0`)).toEqual(['3', 'lib-b', '7'])
    expect(await keys(`${range}&number=2.0`)).toEqual(['3', 'lib-b'])
    for (const level of ['error', '40', '15', 'EventLogLevel.ERROR']) {
      expect(await keys(`${range}&level=${level}`), level).toEqual(['3'])
    }
    expect(await keys(`${range}&level=-1`)).toEqual(['3', 'lib-b', '7'])
  })

  it('has both ends of a range within it, with and without a zone', async () => {
    expect(await keys('start_time=2001-01-01T00:00:01&end_time=2001-01-01T00:00:02')).toEqual(['3', 'lib-b'])
    expect(await keys('start_time=2001-01-01T02:00:01%2B02:00&end_time=2001-01-01T00:00:02Z')).toEqual([
      '3',
      'lib-b',
    ])
  })

  it('answers nothing found with an empty object', async () => {
    expect(await (await get('events?start_time=2090-01-01')).text()).toBe('{}')
  })

  it.each([
    'number=x',
    'number=3.5',
    'number=',
    'number=-2',
    'offset=-1',
    'level=WARN',
    'start_time=soon',
    'include_archived=2',
  ])('refuses %s with 422', async (query) => {
    const answer = await get(`events?${query}`)
    expect(answer.status).toBe(422)
    const { detail } = (await answer.json()) as { detail: { loc: string[] }[] }
    expect(detail[0]!.loc.slice(0, 2)).toEqual(['query', query.split('=')[0]])
  })

  it('takes the last of equal parameters and ignores unknown ones', async () => {
    expect(await keys(`${range}&number=3&number=1&colour=red`)).toEqual(['3'])
  })
})

describe('GET /event/{event_id}/logs', () => {
  it('leads to the page that shows the event: ours, another one, or says what to set', async () => {
    const own = await fetch(`${receiver.url}event/a%20b/logs`, { redirect: 'manual' })
    expect([own.status, own.headers.get('location')]).toEqual([302, '/e/a%20b'])
    const without = await startTestReceiver({ flags: { pages: 'off' } })
    try {
      const absent = await fetch(`${without.url}event/a%20b/logs`)
      expect(absent.status).toBe(404)
      expect(await absent.json()).toEqual({ detail: 'No page shows events: set explorer_url' })
    } finally {
      await without.close()
    }
    const other = await startTestReceiver({
      flags: { explorer_url: 'http://grafana.example/d/x?var-event_id={event_id}&from=now-1y' },
    })
    try {
      const answer = await fetch(`${other.url}event/a%20b/logs`, { redirect: 'manual' })
      expect(answer.status).toBe(302)
      const page = 'http://grafana.example/d/x?var-event_id=a%20b&from=now-1y'
      expect(answer.headers.get('location')).toBe(page)
    } finally {
      await other.close()
    }
    // Its neighbours lie around it, however old it is.
    const around = await startTestReceiver({
      flags: { explorer_url: 'http://grafana.example/d/x?id={event_id}&from={from}&to={to}' },
    })
    try {
      const body = JSON.stringify({ event_id: 'old', event_timestamp: '2001-02-03T04:05:06.789Z' })
      const headers = { 'content-type': 'application/json' }
      await fetch(`${around.url}event`, { method: 'POST', headers, body })
      const at = Date.parse('2001-02-03T04:05:06.789Z')
      const answer = await fetch(`${around.url}event/old/logs`, { redirect: 'manual' })
      expect(answer.headers.get('location')).toBe(
        `http://grafana.example/d/x?id=old&from=${at - 300_000}&to=${at + 300_000}`,
      )
      const absent = await fetch(`${around.url}event/gone/logs`, { redirect: 'manual' })
      const from = Number(/from=(\d+)/.exec(absent.headers.get('location')!)![1])
      expect(Math.abs(from + 300_000 - Date.now())).toBeLessThan(60_000)
    } finally {
      await around.close()
    }
  })
})

describe('POST /events/query', () => {
  it('finds by paths into the event, archived ones too', async () => {
    const query = async (selector: unknown) =>
      Object.keys((await (await post('events/query', selector)).json()) as object).sort()
    expect(await query({ 'event_data.library': true })).toEqual(['3', '7', 'lib-b', 'lib-d'])
    expect(await query({ 'event_data.place': { $gte: 3 }, 'event_data.library': true })).toEqual([
      '3',
      'lib-d',
    ])
    expect(await query({ _id: { $in: ['7', 'nope'] } })).toEqual(['7'])
    expect(await query({ 'event_data.place': '3' })).toEqual([])
  })

  it.each([
    { $where: '1' },
    { a: { $function: 1 } },
    { $jsonSchema: {} },
    { $or: [] },
    'x',
    7,
    [1],
    { a: { $regex: '(' } },
  ])('refuses %j with 4xx and a detail', async (selector) => {
    const answer = await post('events/query', JSON.stringify(selector))
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
    expect(await answer.json()).toHaveProperty('detail')
  })

  it('refuses no body and null', async () => {
    expect((await post('events/query', '')).status).toBe(422)
    expect((await post('events/query', 'null')).status).toBe(422)
  })
})
