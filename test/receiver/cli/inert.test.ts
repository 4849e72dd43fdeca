import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { commands } from '../../../receiver/src/cli/table.ts'
import { toInertCsv, toInertLine, toInertText } from '../../../receiver/src/inert.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { makeEvent } from '../../contract/event-store.contract.ts'
import { startHttpSink } from '../../support/alert-sink.ts'
import { anyCharacter } from '../../support/character.ts'
import { type ReceiverProcess, spawnReceiver } from '../../support/process.ts'

/** Clipboard, title, cursor, C1, DEL, bidirectional, zero-width, separators, tags, a faked line. */
const hostile =
  '\u001b]52;c;cm0gLXJm\u0007\u001b]0;PWNED\u0007\u001b[2J\u009b31m\u007f\u0000\u202eabc\u2066\u200b\u2028\u2029\ufeff\u{e0041}\u0085\rX\r\nFAKED LINE\tend'
const alerting = { event_type: 'node_error', log_level: 50, event_timestamp: '2026-06-01T09:30:00Z' }

let folder: string
let receiver: ReceiverProcess
let sink: Awaited<ReturnType<typeof startHttpSink>>
const [workflow_id, node_id] = [createEventId(), createEventId()]

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'madsci-inert-')))
  await mkdir(join(folder, '.git'))
  sink = await startHttpSink(() => 410)
  const channel = { kind: 'webhook', url: `http://127.0.0.1:${sink.port}/${encodeURIComponent(hostile)}` }
  await writeFile(join(folder, 'settings.yaml'), JSON.stringify({ [`event_${hostile}`]: 1 }))
  receiver = await spawnReceiver({
    cwd: folder,
    flags: {
      server_url: 'http://127.0.0.1:0/',
      manager_name: hostile.replace('\0', ''),
      alert_private_hosts: '["127.0.0.1"]',
      alert_channels: JSON.stringify({ hook: channel }),
      alert_rules: JSON.stringify([
        { name: 'hostile', selector: { event_type: 'node_error' }, group_by: ['event_data.message'] },
      ]),
    },
  })
  const post = (event: object) =>
    fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
    })
  const message = hostile
  await post({ ...alerting, event_data: { message }, source: { node_id } })
  await post({ event_id: `id-${hostile}`, event_type: 'log_info', event_data: message })
  await post({ event_type: 'log_warning', event_data: { [hostile]: hostile } })
  const client = new EventClient({ url: receiver.url, name: 'lab', spoolDir: join(folder, 'spool') })
  const say = (event_type: string, minutes: number, event_data: object, source: object) =>
    client.log({
      event_type,
      event_timestamp: `2026-06-01T08:${String(minutes).padStart(2, '0')}:00Z`,
      event_data: event_data as never,
      source: source as never,
    })
  say('node_start', 0, { node_name: hostile }, { node_id })
  say('workflow_start', 1, { workflow_id, author: hostile, name: hostile }, { workflow_id })
  say('action_status_change', 2, { action_id: 'a', status: 'running' }, { node_id, workflow_id })
  say('action_status_change', 20, { action_id: 'a', status: 'succeeded' }, { node_id, workflow_id })
  say('workflow_complete', 30, { workflow_id, status: 'completed', author: hostile }, { workflow_id })
  await client.flush()
  await client.close()
  await makeDamaged(join(folder, 'damaged.db'))
  const lost = new EventClient({
    url: 'http://127.0.0.1:9/',
    name: hostile,
    spoolDir: join(folder, 'waiting'),
    flushTimeoutMs: 200,
  })
  lost.info(hostile)
  await lost.close().catch(() => {})
}, 60_000)
afterAll(async () => {
  receiver?.kill('SIGTERM')
  await receiver?.exited
  await sink?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A database of which a page of events, with hostile ids, cannot be read. */
async function makeDamaged(path: string): Promise<void> {
  const store = await openSqliteStore({ path, log: silentLog })
  await store.write(Array.from({ length: 500 }, (_, index) => makeEvent(`${hostile}${index}`)))
  await store.close()
  const bytes = await readFile(path)
  const leaves = Array.from({ length: bytes.length / 4096 }, (_, page) => page * 4096).filter(
    (at) => bytes[at] === 0x0d,
  )
  const damaged = leaves[Math.floor(leaves.length / 2)]!
  await writeFile(path, bytes.fill(0xff, damaged, damaged + 4096))
}

async function run(args: string[], stopAt?: string) {
  const stopping = new AbortController()
  let output = ''
  const stream = {
    write: (text: string) => {
      output += text
      if (stopAt !== undefined && output.includes(stopAt)) stopping.abort('SIGINT')
      return true
    },
  }
  const code = await runCommand(args, {
    environment: {},
    workingDirectory: folder,
    stdout: stream,
    stderr: stream,
    stopping: stopping.signal,
  })
  return { code, output }
}

/** What a terminal would obey, hide or turn round; CR LF ends lines of CSV. */
function activeIn(output: string): string[] {
  const rest = output.replaceAll('\r\n', '\n').replaceAll('\n', '')
  return [...new Set(rest.match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu))].map((one) =>
    one.codePointAt(0)!.toString(16),
  )
}

const at = () => `--server_url=${receiver.url}`
const db = () => `--document_db_url=sqlite:${join(folder, '.madsci/events.db')}`
const window = ['--start_time=2026-06-01T08:00:00Z', '--end_time=2026-06-01T10:00:00Z']
const reports = ['timeline', 'summary', 'waits', 'compare', 'sessions', 'periods', 'user']

const lines: string[][] = [
  ['query'],
  ['query', '--json'],
  ['query', '{"event_type": "node_error"}'],
  ['query', `{"${hostile}": 1`],
  ['query', JSON.stringify({ [`$${hostile}`]: 1 })],
  ['alerts'],
  ['alerts', '--json'],
  ['alerts', 'test', 'hook'],
  ['alerts', 'show', hostile],
  ['alerts', 'resolve', hostile],
  ['alerts', 'preview', 'hostile', '--start_time=2026-06-01'],
  ['alerts', 'preview', 'hostile', '--start_time=2026-06-01', '--json'],
  ['alerts', 'preview', hostile],
  ...reports.flatMap((report) => [
    ['utilization', report, ...window],
    ['utilization', report, ...window, '--json'],
    ['utilization', report, ...window, '--format=csv'],
  ]),
  ['utilization', 'summary', '--by=user', ...window],
  ['utilization', 'summary', '--by=workflow_type', ...window],
  ['utilization', 'timeline', '--kind=workflow,node', ...window],
  ['utilization', 'timeline', '--format=ndjson', ...window],
  ['utilization', 'timeline', `--zone=${hostile}`],
  ['utilization', 'user', `--output_path=${hostile.replace('\0', '')}`],
  ['utilization', hostile],
  ['report', 'run', workflow_id],
  ['report', 'run', hostile],
  ['report', hostile, 'x'],
  ['report', 'workflow', 'x', `--output_path=${hostile.replace('\0', '')}`],
  ['backup', `--description=${hostile}`],
  ['restore', hostile.replace('\0', '')],
  ['import', hostile.replace('\0', '')],
  ['salvage', 'damaged.db', 'saved.db'],
  ['salvage', 'damaged.db', 'saved-too.db', '--json'],
  ['salvage', hostile.replace('\0', ''), 'x.db'],
  ['import', 'nothing', `--zone=${hostile}`],
  ['export', '--format=ndjson', 'db'],
  ['export', '--format=csv', 'db'],
  ['export', '--format=otlp', 'db'],
  ['export', `--format=${hostile}`],
  ['export', `--from=sqlite:${hostile.replace('\0', '')}`],
  ['spool', 'waiting'],
  ['spool', 'waiting', '--count'],
  ['spool', 'waiting', '--count', '--json'],
  ['config', `--manager_name=${hostile}`, `--public_url=http://x/${hostile}`],
  ['config', `--manager_name=${hostile}`, '--json'],
  ['config', `--alert_level=${hostile}`],
  ['doctor', `--backup_dir=${hostile.replace('\0', '')}`],
  ['doctor', '--json'],
  [hostile],
  ['query', `--${hostile}`],
  ['query', 'a', hostile],
  ['serve', `--server_url=${hostile}`],
  ['demo', `--server_url=${hostile}`],
  ['tail', `{"${hostile}`],
]

describe('whatever events say, a terminal obeys nothing of it', () => {
  it.for(
    lines.map((args, index) => ({ name: `${index}: ${toInertLine(args.join(' ')).slice(0, 60)}`, args })),
  )('$name', async ({ args }) => {
    const [name] = args
    const isOfReceiver = ['query', 'tail', 'alerts', 'utilization', 'backup'].includes(name!)
    const given = args.filter((one) => one !== 'db')
    const { output } = await run([
      ...given,
      ...(isOfReceiver ? [at()] : []),
      ...(args.includes('db') ? [db()] : []),
    ])
    expect(output.length).toBeGreaterThan(0)
    if (args.includes('damaged.db')) expect(output).toContain('PWNED')
    expect(activeIn(output)).toEqual([])
    if (!args.includes('--format=csv')) expect(output.split('\n')).not.toContain('FAKED LINE\tend')
    expect(
      output.split(/\r?\n/).some((line) => line.startsWith('FAKED LINE') && !args.includes('--format=csv')),
    ).toBe(false)
  })

  it('tail, as a process and inside one', async () => {
    const tails = Promise.all([run(['tail', at()], 'PWNED'), run(['tail', at(), '--json'], 'PWNED')])
    const post = () =>
      fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ event_type: 'log_info', event_data: { message: hostile } }),
      })
    // What is stored before they listen is not theirs.
    const timer = setInterval(() => void post(), 300)
    const found = await tails.finally(() => clearInterval(timer))
    for (const { output } of found) {
      expect(output).toContain('PWNED')
      expect(activeIn(output)).toEqual([])
    }
  })

  it('a process of its own, its log included', async () => {
    const launcher = join(import.meta.dirname, '../../../receiver/bin/madsci-events.js')
    const output = await new Promise<string>((resolve) =>
      execFile(process.execPath, [launcher, 'query', at()], { cwd: folder }, (_, stdout, stderr) =>
        resolve(stdout + stderr),
      ),
    )
    expect(output).toContain('PWNED')
    expect(activeIn(output)).toEqual([])
    expect(receiver.stderr).toContain('PWNED')
    expect(activeIn(receiver.stdout + receiver.stderr)).toEqual([])
  })

  it('no command is left out', async () => {
    expect(Object.keys(commands).sort()).toEqual(
      [
        'alerts',
        'backup',
        'config',
        'demo',
        'doctor',
        'export',
        'import',
        'query',
        'report',
        'restore',
        'salvage',
        'serve',
        'spool',
        'tail',
        'utilization',
      ].sort(),
    )
  })
})

describe('text that is shown', () => {
  it('says what the characters were, and honest text is not touched', () => {
    expect(toInertLine('a\u001b[0m\nb\u009b\u{e0041}')).toBe('a\\u001b[0m\\u000ab\\u009b\\udb40\\udc41')
    expect(toInertText('a\nb\r')).toBe('a\nb\\u000d')
    expect(toInertCsv('a\r\nb\rc\n')).toBe('a\r\nb\\u000dc\n')
    const honest = 'Pipette 5 µL → Wärme, 漢字, नमस्ते, 😀 "quoted" \\ done'
    expect(toInertLine(honest)).toBe(honest)
  })

  it('keeps JSON what it is', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: anyCharacter }), (json) => {
        expect(JSON.parse(toInertText(json))).toEqual(JSON.parse(json))
      }),
    )
  })
})
