import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestReceiver } from '../../support/receiver.ts'

const json = { 'content-type': 'application/json' }
const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } })

describe('finding records of other senders', () => {
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  beforeAll(async () => {
    receiver = await startTestReceiver()
    let second = 0
    const record = (id: string, fields: object) => ({
      timeUnixNano: `${1_795_000_000 + second++}000000000`,
      attributes: [attribute('log.record.uid', id)],
      ...fields,
    })
    const resourceLogs = [
      {
        resource: { attributes: [attribute('service.name', 'pump')] },
        scopeLogs: [
          {
            logRecords: [
              record('one', {
                body: { stringValue: 'Valve stuck' },
                severityText: 'ERROR',
                severityNumber: 17,
              }),
              record('two', { body: { stringValue: 'fine (100%)' }, eventName: 'device.up' }),
            ],
          },
        ],
      },
      {
        resource: { attributes: [attribute('service.name', 'arm')] },
        scopeLogs: [
          {
            logRecords: [
              record('three', { body: { stringValue: 'valve open' }, eventName: 'device.up' }),
              record('four', {
                body: { stringValue: 'x' },
                eventName: 'madsci.node_error',
                severityText: 'WARN',
              }),
            ],
          },
        ],
      },
    ]
    const answer = await fetch(receiver.otlpUrl, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ resourceLogs }),
    })
    expect(answer.status).toBe(200)
    const own = { event_id: 'five', event_type: 'node_error', event_timestamp: '2030-01-01T00:00:00Z' }
    await fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ ...own, event_data: { message: 'a VALVE', component_name: 'pump' } }),
    })
  })
  afterAll(() => receiver.close())

  const ids = async (query: string) => {
    const answer = await fetch(`${receiver.url}events?${query}`)
    expect(answer.status).toBe(200)
    return Object.keys((await answer.json()) as object)
  }

  it.each([
    ['service=pump', ['five', 'two', 'one']],
    ['service=arm', ['four', 'three']],
    ['service=nobody', []],
    ['event_name=device.up', ['three', 'two']],
    ['event_name=device.up&service=arm', ['three']],
    ['event_name=madsci.node_error', ['five', 'four']],
    ['search=VALVE', ['five', 'three', 'one']],
    ['search=(100%25)', ['two']],
    ['search=valve&service=pump&level=40', ['one']],
    ['search=valve&cursor=&number=2', ['five', 'three']],
    [`service=pump&selector=${encodeURIComponent('{"log_level":40}')}`, ['one']],
    [`selector=${encodeURIComponent('{"otel.severity_text":"ERROR"}')}`, ['one']],
    [`selector=${encodeURIComponent('{"otel.severity_text":"WARN"}')}`, ['four']],
    [`selector=${encodeURIComponent('{"otel.resource.service.name":"arm"}')}`, ['four', 'three']],
    ['service=', ['five', 'four', 'three', 'two', 'one']],
  ])('GET /events?%s', async (query, expected) => {
    expect(await ids(query)).toEqual(expected)
  })

  it('numbers and bytes that JSON has no word for are selected in the form of an exact export', async () => {
    const value = (key: string, any: object) => ({
      timeUnixNano: '1700000000000000000',
      attributes: [attribute('log.record.uid', key), { key: 'v', value: any }],
    })
    const logRecords = [
      value('nan', { doubleValue: 'NaN' }),
      value('infinite', { doubleValue: '-Infinity' }),
      value('bytes', { bytesValue: 'AQL/' }),
      value('null', {}),
    ]
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] })
    expect((await fetch(receiver.otlpUrl, { method: 'POST', headers: json, body })).status).toBe(200)
    const select = (operand: unknown) =>
      ids(`selector=${encodeURIComponent(JSON.stringify({ 'event_data.v': operand }))}`)
    expect(await select({ '$madsci.number': 'NaN' })).toEqual(['nan'])
    expect(await select({ '$madsci.number': '-Infinity' })).toEqual(['infinite'])
    expect(await select({ $lt: 0 })).toEqual(['infinite'])
    expect(await select({ '$madsci.bytes': 'AQL/' })).toEqual(['bytes'])
    expect(await select({ $in: [{ '$madsci.bytes': 'AQL/' }, { '$madsci.number': 'NaN' }] })).toHaveLength(2)
    // REST shows what JSON can.
    const shown = (await (await fetch(`${receiver.url}event/bytes`)).json()) as { event_data: object }
    expect(shown.event_data).toEqual({ v: 'AQL/' })
  })

  it('the stream takes the same', async () => {
    const stop = new AbortController()
    const stream = await fetch(`${receiver.url}events/stream?service=pump&search=later`, {
      signal: stop.signal,
    })
    const lines = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
    for (const [id, name] of [
      ['six', 'arm'],
      ['seven', 'pump'],
    ]) {
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ event_id: id, event_data: { message: 'later', component_name: name } }),
      })
    }
    let text = ''
    while (!text.includes('data: ')) text += (await lines.read()).value
    expect(/"_id":"(\w+)"/.exec(text)![1]).toBe('seven')
    stop.abort()
  })
})
