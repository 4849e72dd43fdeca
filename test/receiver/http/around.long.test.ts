import { createEventId } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { useReceiver } from '../../support/use-receiver.ts'

const [workflow, node] = [createEventId(), createEventId()]
/** Seconds of each event, and of what it is. Two and three of an instant, in several forms of its text. */
const events = [
  ['a', '0Z', 'w'],
  ['b', '1', ''],
  ['c', '1Z', 'w'],
  ['d', '1Z', 'wn'],
  ['e', '1Z', 'n'],
  ['f', '2Z', 'd'],
  ['g', '3', 't'],
  ['h', '4Z', 'wt'],
] as const

describe.each(['sqlite', 'mongodb'] as const)('GET /event/{event_id}/around, on %s', (store) => {
  const receiver = useReceiver(store, async () => {
    for (const [event_id, second, of] of events) {
      const answer = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          event_id,
          event_type: 'log_info',
          event_timestamp: second.endsWith('Z')
            ? `2026-11-23T05:38:0${second}`
            : `2026-11-23T05:38:0${second}.000000`,
          source: {
            ...(of.includes('w') && { workflow_id: workflow }),
            ...(of.includes('n') && { node_id: node }),
          },
          event_data: of === 'd' ? { workflow_id: workflow } : {},
          ...(of.includes('t') && { trace_id: 'a'.repeat(32) }),
        }),
      })
      expect(answer.status, await answer.text()).toBe(200)
    }
  })

  const get = (id: string, query = '') => fetch(`${receiver.url}event/${id}/around?${query}`)
  const ids = async (id: string, query = '') => {
    const answer = await get(id, query)
    const text = await answer.text()
    expect(answer.status, text).toBe(200)
    return Object.keys(JSON.parse(text) as object).join('')
  }

  it('gives what was before and after, each event once, also those of the same instant', async () => {
    for (const [id] of events) expect(await ids(id), id).toBe('abcdefgh')
    expect(await ids('d', 'before=2&after=2')).toBe('bcdef')
    expect(await ids('c', 'before=1&after=1')).toBe('bcd')
    expect(await ids('e', 'before=0&after=2')).toBe('efg')
    expect(await ids('a', 'before=5&after=0')).toBe('a')
  })

  it('goes by workflow, node and trace', async () => {
    expect(await ids('d', 'by=workflow')).toBe('acdfh')
    // Only event_data says its workflow.
    expect(await ids('f', 'by=workflow&before=1&after=1')).toBe('dfh')
    expect(await ids('d', 'by=node')).toBe('de')
    expect(await ids('h', 'by=trace')).toBe('gh')
  })

  it('says what it cannot give', async () => {
    expect((await get('nothing')).status).toBe(404)
    for (const query of ['by=colour', 'by=node', 'by=__proto__', 'before=-1', 'after=1001', 'before=x'])
      expect((await get('a', query)).status, query).toBe(422)
    const answer = (await (await get('a', 'by=node')).json()) as { detail: { msg: string }[] }
    expect(answer.detail[0]!.msg).toBe('The event is of no node')
  })
})
