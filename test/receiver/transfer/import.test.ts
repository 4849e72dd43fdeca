import { createWriteStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fromCsv } from '../../../receiver/src/transfer/csv.ts'
import { createIdentity } from '../../../receiver/src/transfer/identity.ts'
import type { ImportChunk } from '../../../receiver/src/transfer/import.ts'
import { fromLines } from '../../../receiver/src/transfer/source.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-import-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function collect(chunks: AsyncIterable<ImportChunk>) {
  const items: ImportChunk = []
  for await (const chunk of chunks) items.push(...chunk)
  return items.map((item) => ('event' in item ? item.event.event_id : item.refused))
}

const lines = (path: string) => collect(fromLines(path, { text: true }))

it('events without an id get the same one whenever their file is read, and equal lines are two events', async () => {
  const line =
    '{"event_timestamp":"2026-11-24T13:46:09.460594Z","event_type":"log_info","event_data":{"a":1}}'
  const text = '2026-11-24T13:46:09.460594Z [info     ] three'
  const path = join(folder, 'a.log')
  await writeFile(path, [line, line, text, line.replace('1}', '2}'), text].join('\n'))
  const ids = await lines(path)
  expect(new Set(ids).size).toBe(5)
  for (const id of ids) expect(id).toMatch(/^[0-7][0-9A-Z]{25}$/)
  expect(await lines(path)).toEqual(ids)
  // The time is in the id, so that the order of ids is that of the events.
  expect(new Set(ids.map((id) => id!.slice(0, 10))).size).toBe(1)
  const csv = join(folder, 'a.csv')
  await writeFile(
    csv,
    'event_id,event_timestamp,event_type\n,2026-11-24T13:46:09Z,log_info\n,2026-11-24T13:46:09Z,log_info\n',
  )
  const rows = await collect(fromCsv(csv, () => {}))
  expect(new Set(rows).size).toBe(2)
  expect(await collect(fromCsv(csv, () => {}))).toEqual(rows)
})

it('lines that come again are events of their own, however many others lie between', () => {
  const time = '2026-11-24T13:46:09Z'
  const all = ['a', 'b', 'c', 'd', 'e', 'a', 'd', 'd', 'b', 'e']
  const idsOf = () => {
    const identify = createIdentity(3)
    return all.map((line) => identify(line, time))
  }
  expect(new Set(idsOf()).size).toBe(all.length)
  expect(idsOf()).toEqual(idsOf())
})

it('a line that is too long, too deep or of too many values is refused alone, within bounded memory', async () => {
  const path = join(folder, 'large.ndjson')
  const good = '{"event_id":"01M8ZZZZZZZZZZZZZZZZZZZZZZ","event_timestamp":"2026-11-24T13:46:09Z"}'
  const head = '{"event_timestamp":"2026-11-24T13:46:09Z","event_data":'
  const part = 'x'.repeat(1024 * 1024)
  const beforeBytes = process.memoryUsage().rss
  await pipeline(function* () {
    yield `${good}\n${head}"`
    for (let i = 0; i < 300; i++) yield part
    yield `"}\n${head}${'['.repeat(100_000)}\n`
    yield `${head}[${'{},'.repeat(4_100_000)}1]}\n${good}`
  }, createWriteStream(path))
  expect(await lines(path)).toEqual([
    '01M8ZZZZZZZZZZZZZZZZZZZZZZ',
    expect.stringContaining('longer than'),
    expect.stringContaining('nested deeper'),
    expect.stringContaining('values'),
    '01M8ZZZZZZZZZZZZZZZZZZZZZZ',
  ])
  expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(300 * 2 ** 20)
})

it('the messages of a Python client come back whole, of several lines and in its JSON format', async () => {
  const path = join(folder, 'node.log')
  const json =
    '{"i": 1, "event_type": "log_info", "event": "line 1", "level": "info", "timestamp": "2026-11-24T13:46:09.460594Z"}'
  await writeFile(
    path,
    [
      '2026-11-24T13:46:09.460594Z [error    ] Traceback:',
      '  File "arm.py", line 3',
      '',
      'ValueError: no tip          event_type=log_error volume=3',
      json,
      '2026-11-24T13:46:10.460594Z [info     ] next',
      'not of anybody',
    ].join('\n'),
  )
  const items: ImportChunk = []
  for await (const chunk of fromLines(path, { text: true })) items.push(...chunk)
  expect(items.map((item) => ('event' in item ? item.event : item))).toMatchObject([
    {
      log_level: 40,
      event_type: 'log_error',
      event_data: {
        message: expect.stringMatching(/^Traceback:\n {2}File "arm.py", line 3\n\nValueError: no tip/),
        volume: 3,
      },
    },
    {
      log_level: 20,
      event_type: 'log_info',
      event_timestamp: '2026-11-24T13:46:09.460594Z',
      event_data: { message: 'line 1', i: 1 },
    },
    { log_level: 20, event_data: { message: 'next\nnot of anybody' } },
  ])
  expect(new Set(await lines(path)).size).toBe(3)
  expect(await lines(path)).toEqual(await lines(path))
  const refused = await collect(fromLines(path, { text: false }))
  expect(refused.every((one) => one?.includes('without an id'))).toBe(true)
})

it('a row of too many cells ends the import of a CSV file', async () => {
  const path = join(folder, 'a.csv')
  await writeFile(path, `event_id,event_timestamp\n${','.repeat(20_000_000)}\n`)
  await expect(collect(fromCsv(path, () => {}))).rejects.toMatchObject({ code: 'EVT_INVALID' })
})
