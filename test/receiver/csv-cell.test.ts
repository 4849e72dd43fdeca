import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventId } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../receiver/src/cli/command.ts'
import { fromCsvCell, toCsvCell } from '../../receiver/src/csv-cell.ts'
import { anyCharacter } from '../support/character.ts'
import { startTestReceiver } from '../support/receiver.ts'

/** What Excel, LibreOffice or Google Sheets take for a formula. */
const formulas = [
  '=cmd|calc!A1',
  '+1+1',
  '-2+3+cmd|calc!A1',
  '@SUM(1)',
  '\t=1',
  '\r=1',
  '\n=1',
  ' =1',
  '"=1',
  "'=1",
  '\u00a0=1',
  '\u200b=1',
  '\ufeff=1',
  '\0=1',
  '＝1',
  '＋1',
  '－1',
  '＠x',
  '-',
  '--5',
  '-5 seconds+1',
  '-5 years',
  '-5-',
]

const unquote = (cell: string) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell)

describe('a cell of CSV', () => {
  it.for(formulas)('%j is no formula any more', (formula) => {
    const seen = unquote(toCsvCell(formula))
    expect(seen).toBe(`'${formula}`)
    expect(fromCsvCell(seen)).toBe(formula)
  })

  it.for([
    '',
    'a',
    '-5',
    '-0.25',
    '-2200.0 seconds',
    '-0.6 hours',
    '-1e9',
    '1-2',
    'a=b',
    "it's",
    '{"a":-1}',
    '[-1]',
    '2026-01-01',
    'x@example.com',
  ])('%j stays as it is', (text) => expect(unquote(toCsvCell(text))).toBe(text))

  it('gives back what was put in', () => {
    const unit = fc.constantFrom(
      "'",
      '"',
      ' ',
      '=',
      '+',
      '-',
      '@',
      '\t',
      '\r',
      '\n',
      ',',
      '1',
      '.',
      'e',
      'a',
      '\u200b',
    )
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit, maxLength: 8 }), fc.string({ unit: anyCharacter })), (text) => {
        expect(fromCsvCell(unquote(toCsvCell(text)))).toBe(text)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('every CSV that is made', () => {
  const [workflow_id, node_id] = [createEventId(), createEventId()]
  const author = '=HYPERLINK("http://evil.example","x")'
  const name = '@SUM(1+1)*cmd|calc!A1'
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  let folder: string
  beforeAll(async () => {
    receiver = await startTestReceiver()
    folder = await mkdtemp(join(tmpdir(), 'madsci-csv-'))
    const say = async (event_type: string, minute: number, event_data: object, source: object = {}) => {
      const body = {
        event_id: `+${event_type}-${minute}`,
        event_type,
        event_timestamp: `2026-06-01T08:${String(minute).padStart(2, '0')}:00Z`,
        event_data,
        source,
      }
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      })
      expect(answer.status).toBe(200)
    }
    await say('node_start', 0, { node_name: name }, { node_id })
    await say('workflow_start', 1, { workflow_id, author, name }, { workflow_id })
    await say('action_status_change', 2, { action_id: 'a', status: 'running' }, { node_id, workflow_id })
    await say('action_status_change', 20, { action_id: 'a', status: 'succeeded' }, { node_id, workflow_id })
    await say('workflow_complete', 30, { workflow_id, status: 'completed', author, name }, { workflow_id })
    await say('log_info', 31, '=1+1' as never)
  })
  afterAll(async () => {
    await receiver?.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** Cells as a spreadsheet reads them (RFC 4180). */
  const cellsOf = (csv: string) =>
    [...csv.matchAll(/(?:^|,|\r\n)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g)].map(
      ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!,
    )
  const isActive = (cell: string) =>
    /^[\s'"]*[=+\-@]/.test(cell) && !cell.startsWith("'") && !/^-[\d.]+$|^=== [A-Z ]+ ===$/.test(cell)

  const window = 'start_time=2026-06-01T08:00:00Z&end_time=2026-06-01T09:00:00Z'
  it.for([
    `utilization/sessions?csv_format=true&${window}`,
    `utilization/periods?csv_format=true&${window}`,
    `utilization/users?csv_format=true&${window}`,
    `utilization/user?csv_format=true&${window}`,
    `utilization/timeline?format=csv&kind=node,workflow&${window}`,
    `utilization/summary?format=csv&by=user&${window}`,
    `utilization/summary?format=csv&by=node&${window}`,
    `utilization/waits?format=csv&${window}`,
    `utilization/compare?format=csv&${window}`,
  ])('%s', async (path) => {
    const answer = await fetch(`${receiver.url}${path}`)
    if (answer.status === 404) return
    const csv = await answer.text()
    expect(answer.headers.get('content-type'), csv).toContain('text/csv')
    expect(cellsOf(csv).length).toBeGreaterThan(5)
    expect(cellsOf(csv).filter(isActive)).toEqual([])
  })

  it('the names are there, made inert', async () => {
    const user = await (await fetch(`${receiver.url}utilization/summary?format=csv&by=user&${window}`)).text()
    expect(cellsOf(user)).toContain(`'${author}`)
    const timeline = await (
      await fetch(`${receiver.url}utilization/timeline?format=csv&kind=node,workflow&${window}`)
    ).text()
    expect(cellsOf(timeline)).toContain(`'${name}`)
  })

  it('export', async () => {
    const stream = { write: () => true }
    const code = await runCommand(
      ['export', 'out.csv', '--format=csv', `--from=sqlite:${receiver.folder}/.madsci/events.db`],
      {
        environment: {},
        workingDirectory: folder,
        stdout: stream,
        stderr: stream,
        stopping: new AbortController().signal,
      },
    )
    expect(code).toBe(0)
    const cells = cellsOf(await readFile(join(folder, 'out.csv'), 'utf8'))
    expect(cells.filter(isActive)).toEqual([])
    expect(cells).toContain("'+node_start-0")
    expect(cells).toContain(`'"=1+1"`)
  })
})
