import { describe, expect, it } from 'vitest'
import { useReceiver } from '../../support/use-receiver.ts'

const json = { 'content-type': 'application/json' }

describe.each(['sqlite', 'mongodb'] as const)('pages of a query, and exports, on %s', (store) => {
  const receiver = useReceiver(store, async () => {
    // Three events an instant, so that pages end within one; their texts have a zone or none.
    for (let i = 0; i < 25; i++) {
      const second = String(Math.floor(i / 3)).padStart(2, '0')
      const answer = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: json,
        body: JSON.stringify({
          event_id: `e${i}`,
          event_type: 'log_info',
          event_timestamp: `2026-11-23T05:38:${second}.000000${i % 2 ? 'Z' : ''}`,
          source: {},
          event_data: { message: i % 5 === 0 ? '=lid' : 'tip', count: i },
          archived: i === 24,
        }),
      })
      expect(answer.status, await answer.text()).toBe(200)
    }
  })

  const query = async (parameters: string, selector: object = {}) => {
    const answer = await fetch(`${receiver.url}events/query?${parameters}`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify(selector),
    })
    const text = await answer.text()
    expect(answer.status, text).toBe(200)
    return { ids: Object.keys(JSON.parse(text) as object), answer }
  }

  it.each(['newest', 'oldest'])(
    'POST /events/query, %s first, gives each event once over its pages',
    async (order) => {
      const { ids: all } = await query(`order=${order}`)
      expect(all).toHaveLength(25)
      for (const number of [1, 4, 7, 25]) {
        const paged: string[] = []
        for (let cursor: string | null = ''; cursor !== null; ) {
          const page = await query(`order=${order}&number=${number}&cursor=${cursor}`)
          expect(page.ids.length).toBeLessThanOrEqual(number)
          paged.push(...page.ids)
          cursor = page.answer.headers.get('x-next-cursor')
          if (cursor !== null) expect(page.answer.headers.get('link')).toContain(`cursor=${cursor}`)
        }
        expect(paged, String(number)).toEqual(all)
      }
      const found = await query(`order=${order}&number=2`, { 'event_data.count': { $lt: 9 } })
      expect(found.ids).toEqual(order === 'newest' ? all.slice(-9, -7) : all.slice(0, 2))
    },
  )

  it('POST /events/query answers as before without these parameters, and refuses others', async () => {
    expect((await query('')).ids).toHaveLength(25)
    expect((await query('cursor=&number=3')).ids[0]).toBe('e24')
    for (const wrong of ['order=sideways', 'number=-1', 'cursor=&number=0', 'cursor=x']) {
      const answer = await fetch(`${receiver.url}events/query?${wrong}`, {
        method: 'POST',
        headers: json,
        body: '{}',
      })
      expect(answer.status, wrong).toBe(422)
    }
  })

  const ask = (parameters: string, selector?: object) =>
    fetch(`${receiver.url}events/export?${parameters}`, {
      method: 'POST',
      ...(selector && { headers: json, body: JSON.stringify(selector) }),
    })

  it('exports as NDJSON, CSV and OTLP what the filters and the selector mean', async () => {
    const ndjson = await ask('q=tip&order=oldest', { 'event_data.count': { $gt: 20 } })
    expect(ndjson.headers.get('content-type')).toBe('application/x-ndjson')
    expect(ndjson.headers.get('content-disposition')).toBe(
      'attachment; filename="events_tip_event-data.count-gt-20_UTC.ndjson"',
    )
    // Of an instant, texts without a zone come first.
    const lines = (await ndjson.text()).trim().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { _id: string })._id)).toEqual(['e22', 'e21', 'e23'])
    const csv = await (await ask('format=csv&q=lid&number=2')).text()
    expect(csv.split('\r\n')[0]).toMatch(/^event_id,event_type,/)
    expect(
      csv
        .trim()
        .split('\r\n')
        .slice(1)
        .map((row) => row.split(',')[0]),
    ).toEqual(['e20', 'e15'])
    const otlp = await (await ask('format=otlp&include_archived=true')).text()
    const records = otlp
      .trim()
      .split('\n')
      .flatMap(
        (line) =>
          (JSON.parse(line) as { resourceLogs: { scopeLogs: { logRecords: object[] }[] }[] }).resourceLogs,
      )
      .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords))
    expect(records).toHaveLength(25)
    const got = await fetch(`${receiver.url}events/export?q=tip&number=1`)
    expect((await got.text()).split('\n')).toHaveLength(2)
    expect(await (await ask('format=csv&q=nothing')).text()).toBe(`${csv.split('\r\n')[0]}\r\n`)
    expect(await (await ask('q=nothing')).text()).toBe('')
  })

  it('says what it cannot export before the file begins', async () => {
    for (const wrong of ['format=xml', 'order=sideways', 'q=nod:arm', 'number=-1'])
      expect((await ask(wrong)).status, wrong).toBe(422)
    expect((await ask('', { $where: '1' })).status).toBe(422)
  })
})
