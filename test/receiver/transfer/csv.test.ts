import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { toCsvCell } from '../../../receiver/src/csv-cell.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { fromCsv } from '../../../receiver/src/transfer/csv.ts'
import { collect, makeEvent } from '../../contract/event-store.contract.ts'
import { anyCharacter } from '../../support/character.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-csv-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function run(...args: string[]) {
  let output = ''
  const stream = {
    write: (text: string) => {
      output += text
      return true
    },
  }
  const code = await runCommand(args, {
    environment: {},
    workingDirectory: folder,
    stdout: stream,
    stderr: stream,
    stopping: new AbortController().signal,
  })
  return { code, output }
}

async function contents(name: string): Promise<string[]> {
  const store = await openSqliteStore({ path: join(folder, name), log: silentLog })
  try {
    return (await collect(store)).map(({ json, exact }) => exact ?? json).sort()
  } finally {
    await store.close()
  }
}

/** Texts at which CSV, JSON, a spreadsheet or the rule of the apostrophe could fail. */
const awkward = [
  '=1+1',
  "'=1",
  "''=1",
  '-5',
  "'-5",
  '@x',
  '+1',
  '\t',
  '\r',
  '\n',
  '\r\n=1',
  '"',
  '""',
  'a,b',
  'a\r',
  '',
  ' ',
  '\u2028',
  '\u001b[0m',
  '漢😀',
  '＝1',
]

describe('events as CSV', () => {
  it.for(['csv', 'ndjson'])('come back from %s exactly as they were', async (ending) => {
    const store = await openSqliteStore({ path: join(folder, 'a.db'), log: silentLog })
    await store.write([
      // A text that is itself a text in JSON is mended by every import.
      ...awkward.map((text, index) =>
        makeEvent(`${text}${index}`, { event_data: text === '""' ? '"' : text }),
      ),
      ...awkward.map((text, index) =>
        makeEvent(`=${index}`, { event_data: { [text]: text, '=': [-1, text] } }),
      ),
      makeEvent('exact', { event_data: { n: 2n ** 62n, bytes: new Uint8Array([0, 255]), nan: Number.NaN } }),
      makeEvent('null', { event_data: null }),
      makeEvent('number', { event_data: -5 }),
      makeEvent('archived', { archived: true, archived_at: '2026-11-20T00:00:00.123000Z', alert: true }),
    ])
    await store.close()
    expect(
      (await run('export', `all.${ending}`, `--format=${ending}`, '--document_db_url=sqlite:a.db')).code,
    ).toBe(0)
    const { code, output } = await run(
      'import',
      `all.${ending}`,
      '--document_db_url=sqlite:b.db',
      '--report=notes',
    )
    const number = 2 * awkward.length + 4
    expect({ code, output, notes: await readFile(join(folder, 'notes'), 'utf8') }).toMatchObject({
      code: 0,
      notes: expect.not.stringContaining('refused'),
    })
    expect(output).toContain(`${number} read: ${number} stored`)
    expect(await contents('b.db')).toEqual(await contents('a.db'))
  })

  it('are read whatever the line ends, the order of the columns and the pieces in which they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...awkward), fc.string({ unit: anyCharacter, maxLength: 20 })), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.constantFrom('\r\n', '\n'),
        fc.boolean(),
        async (rows, end, isLast) => {
          const path = join(folder, 'x.csv')
          const cells = rows.map(([text, more], index) => {
            const data = JSON.stringify((text + more).toWellFormed())
            return [data, '2026-01-01T00:00:00Z', `${index}${text}`].map(toCsvCell).join(',')
          })
          const lines = ['event_data,event_timestamp,event_id', ...cells]
          await writeFile(
            path,
            `\ufeff${lines.join(end).replace('\ufeffevent', 'event')}${isLast ? end : ''}`,
          )
          const found = []
          for await (const chunk of fromCsv(path, () => {})) found.push(...chunk)
          expect(found).toHaveLength(rows.length)
          expect(found[0]).toMatchObject({ event: { event_id: `0${rows[0]![0]}` } })
          expect(found.map((one) => 'event' in one && one.event.event_data)).toEqual(
            rows.map(([text, more]) => (text + more).toWellFormed()),
          )
        },
      ),
      { numRuns: 200 },
    )
  })

  it('are read also where a piece of the file ends in the middle of a cell, a quote or a line end', async () => {
    const path = join(folder, 'large.csv')
    const row = (index: number) =>
      `${toCsvCell(JSON.stringify(`"${'x'.repeat(index % 97)}"\r\n,`))},2026-01-01T00:00:00Z,id${index}`
    const count = 5000
    await writeFile(
      path,
      [
        'event_data,event_timestamp,event_id',
        ...Array.from({ length: count }, (_, index) => row(index)),
      ].join('\r\n'),
    )
    const found = []
    for await (const chunk of fromCsv(path, () => {})) found.push(...chunk)
    expect(found).toHaveLength(count)
    for (const [index, one] of found.entries())
      expect(one).toMatchObject({
        event: { event_id: `id${index}`, event_data: `"${'x'.repeat(index % 97)}"\r\n,` },
      })
  })

  it('are refused one by one, with their row, and the file as a whole when it is none', async () => {
    const rows = [
      'event_id,event_timestamp,event_type,log_level,event_data',
      'a,2026-01-01T00:00:00Z,log_info,20,{',
      'b,2026-01-01T00:00:00Z,log_info,x,1',
      'c,,log_info,20,1',
      'd,2026-01-01T00:00:00Z,log_info,20',
      '',
      'e,2026-01-01T00:00:00Z,log_info,20,1',
    ]
    await writeFile(join(folder, 'x.csv'), rows.join('\n'))
    const { code, output } = await run('import', 'x.csv', '--document_db_url=sqlite:b.db', '--report=notes')
    expect(code).toBe(1)
    expect(output).toContain('5 read: 1 stored, 0 there already, 4 refused')
    const notes = (await readFile(join(folder, 'notes'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((note) => note.refused)
    expect(notes.map(({ where }) => where)).toEqual(
      [2, 3, 4, 5].map((row) => `${join(folder, 'x.csv')}: row ${row}`),
    )
    expect(notes.map(({ refused }) => refused)).toEqual([
      'event_data cannot be read: {',
      'log_level cannot be read: x',
      'no event_timestamp',
      '4 cells for 5 columns',
    ])
    for (const [text, why] of [
      ['a,b\n1,2', 'no column event_id'],
      ['event_id,event_timestamp\n"a', 'ends inside a cell in quotes'],
      ['event_id,event_timestamp\n"a"b,c', 'text after the end of a cell'],
    ]) {
      await writeFile(join(folder, 'x.csv'), text!)
      const refused = await run('import', 'x.csv', '--document_db_url=sqlite:b.db')
      expect(refused).toMatchObject({ code: 1, output: expect.stringContaining(why!) })
    }
  })
})
