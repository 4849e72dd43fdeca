import { createEventId } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { useReceiver } from '../../support/use-receiver.ts'

const [arm, reader, workflow] = [createEventId(), createEventId(), createEventId()]
const events = [
  { event_type: 'node_start', source: { node_id: arm }, event_data: { node_name: 'arm' } },
  // The name stands in no event of its own but the first.
  { source: { node_id: arm }, event_data: { message: 'Tip picked' } },
  { log_level: 40, source: { node_id: arm, workflow_id: workflow }, event_data: { message: 'no tip' } },
  {
    log_level: 30,
    source: { node_id: reader },
    event_data: { message: 'lamp is old', component_name: 'reader' },
  },
  {
    event_type: 'log_info',
    event_data: { message: 'stored', event_type: 'workflow_start', name: 'assay 1', workflow_id: workflow },
  },
]

describe.each(['sqlite', 'mongodb'] as const)('the search line of the routes of events, on %s', (store) => {
  const receiver = useReceiver(store, async () => {
    for (const [index, event] of events.entries()) await post(index, event)
  })

  async function post(index: number, event: object): Promise<void> {
    const answer = await fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        event_id: String(index),
        event_timestamp: `2026-11-23T05:38:0${index}Z`,
        source: {},
        event_type: 'log_info',
        ...event,
      }),
    })
    expect(answer.status, await answer.text()).toBe(200)
  }

  const get = (path: string, parameters: { [name: string]: string }, init?: RequestInit) =>
    fetch(`${receiver.url}${path}?${new URLSearchParams(parameters)}`, init)
  // Numbers as keys of an object come in their own order.
  const ids = async (parameters: { [name: string]: string }) => {
    const answer = await get('events', parameters)
    const text = await answer.text()
    expect(answer.status, text).toBe(200)
    return Object.keys(JSON.parse(text) as object)
      .sort()
      .join('')
  }

  it.each([
    ['tip', '12'],
    ['tip -picked', '2'],
    ['node:arm', '012'],
    [`node:${arm}`, '012'],
    ['-node:arm', '34'],
    ['node:reader,arm level>=warning', '23'],
    ['workflow:"assay 1"', '24'],
    ['type:workflow_start,node_start', '04'],
    ['-type:log_info', '04'],
    ['since:2026-11-23T05:38:01Z until:2026-11-23T05:38:03Z', '123'],
    ['since:1h', ''],
    ['node:arm {"log_level": 40}', '2'],
    ['', '01234'],
  ])('%s', async (q, expected) => {
    expect(await ids({ q })).toBe(expected)
    expect(await ids({ q, cursor: '', number: '10' })).toBe(expected)
  })

  it('stands beside the other filters', async () => {
    expect(await ids({ q: 'node:arm', level: 'error' })).toBe('2')
    expect(await ids({ q: 'node:arm', search: 'tip', selector: '{"log_level": 20}' })).toBe('1')
  })

  it('tells the column of what it does not understand', async () => {
    for (const path of ['events', 'events/stream']) {
      const answer = await get(path, { q: 'tip nod:arm' })
      expect(answer.status).toBe(422)
      const [problem] = ((await answer.json()) as { detail: object[] }).detail
      expect(problem).toMatchObject({ loc: ['query', 'q'], ctx: { column: 5, length: 3 } })
      expect((problem as { msg: string }).msg).toMatch(/^column 5: 'nod' is no field/)
    }
  })

  it('narrows the stream, by names that are known at its start', async () => {
    const leave = new AbortController()
    const answer = await get('events/stream', { q: 'node:arm tip' }, { signal: leave.signal })
    await post(5, { source: { node_id: reader }, event_data: { message: 'tip' } })
    await post(6, { source: { node_id: arm }, event_data: { message: 'tip' } })
    let text = ''
    for await (const piece of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += piece
      if (text.includes('"_id":"6"')) break
    }
    leave.abort()
    expect(text).not.toContain('"_id":"5"')
  })
})
