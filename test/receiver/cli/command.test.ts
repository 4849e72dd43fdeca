import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventId } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { demoFlags } from '../../../receiver/src/cli/demo.ts'
import { commands } from '../../../receiver/src/cli/table.ts'
import { readConfig, settings } from '../../../receiver/src/config/config.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { collect, makeEvent } from '../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { findFreePort } from '../../support/process.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { waitUntil } from '../../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-command-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  return folder
}

interface RunOptions {
  stopping?: AbortController
  isTTY?: boolean
  environment?: { [name: string]: string }
}

const run = (folder: string, args: string[], options: RunOptions = {}) => start(folder, args, options).ended

/** A command under way, and what it has written to standard output. */
function start(
  folder: string,
  args: string[],
  { stopping = new AbortController(), isTTY = false, environment = {} }: RunOptions = {},
) {
  let stdout = ''
  let stderr = ''
  const ended = runCommand(args, {
    environment,
    workingDirectory: folder,
    stdout: {
      write: (text) => {
        stdout += text
      },
    },
    stderr: {
      isTTY,
      write: (text) => {
        stderr += text
      },
    },
    stopping: stopping.signal,
  }).then((code) => ({ code, stdout, stderr }))
  return { ended, said: () => stdout }
}

const awkward = [
  makeEvent('plain', { event_data: { text: 'a "quoted", line\nbreak' } }),
  makeEvent('exact', { event_data: { n: 2n ** 62n, bytes: new Uint8Array([0, 255]), nan: Number.NaN } }),
  makeEvent('archived', { archived: true, archived_at: '2026-11-20T00:00:00.123000Z' }),
  makeEvent('11', { event_timestamp: '2020-01-01T00:00:00.000000', event_data: null }),
]

async function fill(folder: string, name: string) {
  const store = await openSqliteStore({ path: join(folder, name), log: silentLog })
  await store.write([...awkward, ...Array.from({ length: 1500 }, (_, i) => makeEvent(`many-${i}`))])
  await store.close()
}

async function contents(folder: string, name: string): Promise<string[]> {
  const store = await openSqliteStore({ path: join(folder, name), log: silentLog })
  try {
    return (await collect(store)).map(({ json, exact }) => exact ?? json).sort()
  } finally {
    await store.close()
  }
}

describe('salvage', () => {
  it('copies what is readable of a damaged file, names what is not, and says so with its exit code', async () => {
    const folder = await makeFolder()
    const path = join(folder, 'events.db')
    const store = await openSqliteStore({ path, log: silentLog })
    for (let at = 0; at < 2000; at += 500)
      await store.write(
        Array.from({ length: 500 }, (_, i) => makeEvent(`event-${String(at + i).padStart(5, '0')}`)),
      )
    await store.close()
    const whole = await run(folder, ['salvage', 'events.db', 'whole.db'])
    expect([whole.code, whole.stdout]).toEqual([0, expect.stringContaining('2000 events were copied')])
    const bytes = await readFile(path)
    const leaf = Array.from({ length: bytes.length / 4096 }, (_, page) => page * 4096).filter(
      (at) => bytes[at] === 0x0d,
    )
    const damaged = leaf[Math.floor(leaf.length / 2)]!
    await writeFile(path, bytes.fill(0xff, damaged, damaged + 4096))
    const { code, stdout } = await run(folder, [
      'salvage',
      'events.db',
      'saved.db',
      '--json',
      '--report=missing.ndjson',
    ])
    const report = JSON.parse(stdout)
    expect(code).toBe(1)
    expect(report.missing).toBeGreaterThan(0)
    expect(report.events + report.missing).toBe(2000)
    const missing = (await readFile(join(folder, 'missing.ndjson'), 'utf8')).trim().split('\n')
    expect(missing.map((line) => JSON.parse(line).missing).slice(0, 20)).toEqual(report.missingIds)
    const saved = await openSqliteStore({ path: join(folder, 'saved.db'), log: silentLog })
    cleanups.push(() => saved.close())
    const found = await collect(saved, {})
    expect(found).toHaveLength(report.events)
    expect(await run(folder, ['salvage', 'events.db', 'saved.db'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('exists already'),
    })
    expect(await run(folder, ['salvage', 'nothing.db', 'other.db'])).toMatchObject({ code: 1 })
  })
})

describe('the command line', () => {
  it('exports everything as NDJSON, and imports it again, exactly', async () => {
    const folder = await makeFolder()
    await fill(folder, 'a.db')
    const out = await run(folder, ['export', 'all.ndjson', '--document_db_url=sqlite:a.db'])
    expect(out).toEqual({ code: 0, stdout: '', stderr: '1504 events were exported\n' })
    const again = ['import', 'all.ndjson', '--document_db_url=sqlite:b.db', '--json']
    const first = JSON.parse((await run(folder, again)).stdout)
    expect(first).toEqual({ read: 1504, stored: 1504, duplicate: 0, refused: 0, repairs: {}, isWhole: true })
    expect(await contents(folder, 'b.db')).toEqual(await contents(folder, 'a.db'))
    expect(JSON.parse((await run(folder, again)).stdout)).toMatchObject({ stored: 0, duplicate: 1504 })
  })

  it('exports what a search line finds, and says the place of what it does not understand', async () => {
    const folder = await makeFolder()
    const store = await openSqliteStore({ path: join(folder, 'a.db'), log: silentLog })
    const node_id = createEventId()
    await store.write([
      makeEvent('named', { source: { node_id }, event_data: { node_name: 'arm' } }),
      makeEvent('of it', { source: { node_id }, event_data: { message: 'tip' } }),
      makeEvent('other', { event_data: { message: 'tip' } }),
    ])
    await store.close()
    const file = '--document_db_url=sqlite:a.db'
    const found = await run(folder, ['export', '-', '--q=node:arm tip', file])
    expect(
      found.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)._id),
    ).toEqual(['of it'])
    const refused = await run(folder, ['export', '-', '--q=tip "no', file])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('--q, column 5: the quote is not closed')
  })

  it('exports CSV and OTLP lines that others read', async () => {
    const folder = await makeFolder()
    await fill(folder, 'a.db')
    const csv = await run(folder, ['export', '--format=csv', '--document_db_url=sqlite:a.db'])
    expect(csv.stdout.split('\r\n')[0]).toBe(
      'event_id,event_type,log_level,alert,event_timestamp,source,event_data,trace_id,span_id,archived,archived_at',
    )
    expect(csv.stdout.match(/\r\n/g)).toHaveLength(1505)
    const otlp = await run(folder, ['export', '--format=otlp', '--document_db_url=sqlite:a.db'])
    const receiver = await startTestReceiver()
    cleanups.push(() => receiver.close())
    for (const body of otlp.stdout.trim().split('\n')) {
      const headers = { 'content-type': 'application/json' }
      expect((await fetch(`${receiver.url}v1/logs`, { method: 'POST', body, headers })).status).toBe(200)
    }
    const health = (await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }
    expect(health.total_events).toBe(1504)
    const exact = (await (await fetch(`${receiver.url}event/exact`)).json()) as { event_data: { n: unknown } }
    expect(exact.event_data.n).toBeDefined()
    expect((await run(folder, ['export', '--format=xml', '--document_db_url=sqlite:a.db'])).code).toBe(2)
  })

  it('says why lines are refused and what helps, what is not there, and writes to standard output as -', async () => {
    const folder = await makeFolder()
    await writeFile(
      join(folder, 'run.log'),
      '2026-11-24T13:46:09.460594Z [info     ] one line               event_type=log_info\n2026-11-24T13:46:10.460594Z [info     ] another line           event_type=log_info\n',
    )
    const refused = await run(folder, ['import', 'run.log', '--document_db_url=sqlite:said.db'])
    expect(refused.code).toBe(1)
    expect(refused.stdout).toMatch(/2 refused\n {2}2 refused: .+; the first at .*1/)
    expect(refused.stderr).toContain('--text')
    const taken = await run(folder, ['import', 'run.log', '--text', '--document_db_url=sqlite:said.db'])
    expect(taken.stdout).toContain('2 stored')
    const missing = await run(folder, ['import', 'nosuchfile', '--document_db_url=sqlite:said.db'])
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('there is no file or folder')])
    const exported = await run(folder, ['export', '-', '--document_db_url=sqlite:said.db'])
    expect(exported.stdout.trim().split('\n')).toHaveLength(2)
    expect(await readdir(folder)).not.toContain('-')
    const none = await run(folder, ['export', '-', '--level=error', '--document_db_url=sqlite:said.db'])
    expect(none.stderr).toMatch(/^0 events were exported from sqlite:.*said\.db; --from=/)
  })

  it('config tells a secret that is not set from one that is', async () => {
    const folder = await makeFolder()
    const of = async (...flags: string[]) => {
      const { stdout } = await run(folder, ['config', '--json', ...flags])
      const all = JSON.parse(stdout) as { [name: string]: { value: unknown } }
      return Object.fromEntries(Object.entries(all).map(([name, { value }]) => [name, value]))
    }
    const email = (more: object) => `--email_alerts=${JSON.stringify({ smtp_server: 'mail', ...more })}`
    expect(await of()).toMatchObject({ otlp_forward_url: null })
    expect(await of(email({ smtp_username: 'me' }), '--otlp_forward_url=http://me:hunter2@x')).toMatchObject({
      otlp_forward_url: expect.not.stringContaining('hunter2'),
      email_alerts: { smtp_username: '***REDACTED***', smtp_password: null },
    })
    const typo = await run(folder, ['config', email({ smtp_prt: 25, sendr: 'x' })])
    expect(typo.code).toBe(1)
    expect(typo.stderr).toMatch(/--email_alerts .*smtp_prt is unknown; sendr is unknown/)
  })

  it('the demo uses the store that the environment names', async () => {
    const folder = await makeFolder()
    const stopping = new AbortController()
    setTimeout(() => stopping.abort(), 1500)
    const flags = ['--server_url=http://127.0.0.1:0/', '--otlp_port=none', '--grpc_port=none']
    const environment = { EVENT_DB_URL: `sqlite:${join(folder, 'mine.db')}` }
    const { stdout } = await run(folder, ['demo', ...flags], { stopping, environment })
    expect(stdout).toContain('mine.db')
    expect(await readdir(folder)).toContain('mine.db')
  })

  it('the demo names a doctor that finds nothing wrong beside it, and a second demo says what runs and where', async () => {
    const folder = await makeFolder()
    await mkdir(join(folder, '.git'))
    const stopping = new AbortController()
    const server_url = `http://127.0.0.1:${await findFreePort()}/`
    const flags = [`--server_url=${server_url}`, '--otlp_port=none', '--grpc_port=none']
    const first = start(folder, ['demo', ...flags], { stopping })
    await waitUntil(async () => first.said().includes('ctrl-C ends it'), 'the demo')
    const line = first.said().match(/madsci-events (doctor .*)/)![1]!
    const healthy = await run(folder, [...line.split(' '), '--otlp_port=none', '--grpc_port=none'])
    expect([healthy.code, healthy.stdout]).toEqual([0, expect.stringContaining('0 problems')])
    const lost = await run(folder, ['doctor', ...flags])
    expect(lost.stdout).toContain(
      'with its variables; if it is the demo, add --document_db_url=sqlite:.madsci/demo.db\n',
    )
    const second = await run(folder, ['demo', ...flags])
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(
      new RegExp(
        `process ${process.pid} owns the database file .*demo\\.db; a madsci-events receiver, version \\S+ answers at ${server_url}\\. A demo or a receiver runs on this file already`,
      ),
    )
    expect(second.stderr).toContain('--document_db_url=sqlite:.madsci/demo-2.db')
    stopping.abort()
    expect((await first.ended).code).toBe(0)
  })

  it('imports the log of the Python client, heals, and reports', async () => {
    const folder = await makeFolder()
    const id = createEventId()
    const node = '01JJ4S0WNGEF5FQAZG5KDGJRBV'
    const lines = [
      '2026-11-24T13:46:09.460594Z [warning  ] three words here               event_type=log_warning volume=3',
      `{"event_id":"${id}","event_type":"log_info","log_level":20,"event_timestamp":"2026-07-01T12:00:00","source":{},"event_data":{"message":"go","event_type":"node_start","node_id":"${node}"}}`,
      '{"event_id":"old","event_type":"experiment_stop","log_level":25,"event_timestamp":"2026-07-01T12:00:00Z","source":{},"event_data":{}}',
      '{"event_id":"bad","event_type":"no_such_type","log_level":20,"event_timestamp":"2026-07-01T12:00:00Z"}',
      '{"event_id":"torn","event_ty',
    ]
    await writeFile(join(folder, 'node.log'), `${lines.join('\n')}\n`)
    const args = ['import', 'node.log', '--promote', '--zone=Europe/Berlin', '--document_db_url=sqlite:b.db']
    const out = await run(folder, [...args, '--text', '--report=report.ndjson', '--json'])
    expect(out.code).toBe(1)
    expect(JSON.parse(out.stdout)).toEqual({
      read: 5,
      stored: 3,
      duplicate: 0,
      refused: 2,
      repairs: { timestamp_form: 2, timestamp_zone: 1, type_promoted: 1, type_renamed: 1, level_unknown: 1 },
      isWhole: true,
    })
    const report = (await readFile(join(folder, 'report.ndjson'), 'utf8')).trim().split('\n')
    expect(report).toHaveLength(8)
    const events = (await contents(folder, 'b.db')).map((one) => JSON.parse(one))
    expect(events.find(({ _id }) => _id === id)).toMatchObject({
      event_type: 'node_start',
      event_timestamp: '2026-07-01T10:00:00.000000Z',
      source: { node_id: node },
    })
    expect(events.find(({ _id }) => _id === 'old')).toMatchObject({
      event_type: 'experiment_cancelled',
      log_level: 20,
    })
    expect(events.find(({ log_level }) => log_level === 30)).toMatchObject({
      event_type: 'log_warning',
      event_data: { message: 'three words here', volume: 3 },
    })
    // Run again: nothing is there twice, the lines of text included.
    expect(JSON.parse((await run(folder, [...args, '--text', '--json'])).stdout)).toMatchObject({
      stored: 0,
      duplicate: 3,
    })
    expect((await run(folder, ['import', 'node.log', '--zone=Mars/Base'])).stderr).toContain('IANA')
    // The time of an outage alone: both ends count.
    const other = ['import', 'node.log', '--text', '--document_db_url=sqlite:c.db', '--json']
    const period = ['--start_time=2026-07-01T12:00:00Z', '--end_time=2026-11-24T13:46:09.460593Z']
    expect(JSON.parse((await run(folder, [...other, ...period])).stdout)).toMatchObject({
      read: 5,
      stored: 2,
      refused: 2,
      outside: 1,
    })
    expect((await run(folder, [...other, '--start_time=soon'])).stderr).toContain('--start_time is no time')
  })

  it('brings a MongoDB into SQLite and a backup of each store into the other', async (context) => {
    const source = await findMongo()
    if ('skip' in source) return context.skip(source.skip)
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const folder = await makeFolder()
    await fill(folder, 'a.db')
    const expected = await contents(folder, 'a.db')
    const name = freshDatabaseName()
    const mongo = [`--document_db_url=${mongod.url}`, `--database_name=${name}`]
    expect((await run(folder, ['import', 'sqlite:a.db', ...mongo])).code).toBe(0)
    const back = await run(folder, [
      'import',
      mongod.url,
      '--document_db_url=sqlite:b.db',
      `--database_name=${name}`,
    ])
    expect(back.stdout).toContain('1504 read: 1504 stored')
    expect(await contents(folder, 'b.db')).toEqual(expected)

    const receiver = await startTestReceiver({
      flags: { document_db_url: mongod.url, database_name: name },
    })
    const made = await run(folder, ['backup', `--server_url=${receiver.url}`, '--description=night'])
    expect(made.code).toBe(0)
    const restored = await run(folder, ['restore', made.stdout.trim(), '--document_db_url=sqlite:c.db'])
    await receiver.close()
    expect(restored.stdout).toContain('every id of the backup is in the database')
    expect(restored.code).toBe(0)
    expect(await contents(folder, 'c.db')).toEqual(expected)
  })

  it('restores a backup made under load, and says when one is damaged', async () => {
    const folder = await makeFolder()
    const receiver = await startTestReceiver()
    cleanups.push(() => receiver.close())
    const ids: string[] = []
    let isLoading = true
    const load = (async () => {
      while (isLoading) {
        const body = JSON.stringify({ event_id: createEventId() })
        const headers = { 'content-type': 'application/json' }
        const answer = await fetch(`${receiver.url}event`, { method: 'POST', body, headers })
        ids.push(((await answer.json()) as { _id: string })._id)
      }
    })()
    while (ids.length < 300) await new Promise((resolve) => setTimeout(resolve, 5))
    const before = ids.length
    const made = await run(folder, ['backup', `--server_url=${receiver.url}`])
    isLoading = false
    await load
    const path = made.stdout.trim()
    const restored = await run(folder, ['restore', path, '--document_db_url=sqlite:c.db', '--json'])
    expect(restored.code).toBe(0)
    const inCopy = new Set((await contents(folder, 'c.db')).map((one) => JSON.parse(one)._id))
    for (const id of ids.slice(0, before)) expect(inCopy.has(id)).toBe(true)
    for (const id of inCopy) expect(ids).toContain(id)
    await writeFile(join(path, 'events.db'), 'x')
    const damaged = await run(folder, ['restore', path, '--document_db_url=sqlite:d.db'])
    expect(damaged.code).toBe(1)
    expect(damaged.stderr).toContain('is damaged')
  })

  it('imports into a MongoDB beside a receiver that takes events, some of them the same: each is there once', async (context) => {
    const source = await findMongo()
    if ('skip' in source) return context.skip(source.skip)
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const flags = { document_db_url: mongod.url, database_name: freshDatabaseName() }
    const receiver = await startTestReceiver({ flags })
    cleanups.push(() => receiver.close())
    const folder = await makeFolder()
    await fill(folder, 'a.db')
    const acknowledged = new Set<string>()
    let isLoading = true
    const load = (async () => {
      for (let i = 0; isLoading; i++) {
        // Every other one is also in the file.
        const event_id = i % 2 === 0 && i < 3000 ? `many-${i / 2}` : createEventId()
        const answer = await fetch(`${receiver.url}event`, {
          method: 'POST',
          body: JSON.stringify({ event_id, event_data: { from: 'rest' } }),
          headers: { 'content-type': 'application/json' },
        })
        expect(answer.status).toBe(200)
        acknowledged.add(event_id)
      }
    })()
    while (acknowledged.size < 50) await new Promise((resolve) => setTimeout(resolve, 5))
    const { code } = await run(folder, [
      'import',
      'sqlite:a.db',
      `--document_db_url=${mongod.url}`,
      `--database_name=${flags.database_name}`,
    ])
    isLoading = false
    await load
    expect(code).toBe(0)
    const answer = await fetch(`${receiver.url}events?number=0&include_archived=true`)
    const stored = Object.keys((await answer.json()) as object)
    const imported = (await contents(folder, 'a.db')).map((text) => JSON.parse(text)._id as string)
    expect(new Set(stored)).toEqual(new Set([...acknowledged, ...imported]))
    expect(new Set(stored).size).toBe(stored.length)
  })

  it('queries and follows a running receiver', async () => {
    const folder = await makeFolder()
    const receiver = await startTestReceiver()
    cleanups.push(() => receiver.close())
    const server = `--server_url=${receiver.url}`
    const post = (level: number, message: string) =>
      fetch(`${receiver.url}event`, {
        method: 'POST',
        body: JSON.stringify({ log_level: level, event_data: { message } }),
        headers: { 'content-type': 'application/json' },
      })
    await post(40, 'spilled')
    await post(20, 'aspirated')
    const listed = await run(folder, ['query', server, '--level=error'])
    expect(listed.stdout).toMatch(/ERROR .*spilled {2}\w{26}\n$/)
    expect(listed.stdout).not.toContain('aspirated')
    const selected = await run(folder, ['query', '{"event_data.message": "aspirated"}', server, '--json'])
    expect(Object.values(JSON.parse(selected.stdout))).toHaveLength(1)
    const refused = await run(folder, ['query', '{"$where": "1"}', server])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('EVT_REFUSED')

    const stopping = new AbortController()
    const tailing = run(folder, ['tail', server, '--level=warning'], { stopping })
    await new Promise((resolve) => setTimeout(resolve, 500))
    await post(20, 'quiet')
    await post(30, 'loud')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    stopping.abort()
    const { code, stdout } = await tailing
    expect(code).toBe(0)
    expect(stdout).toContain('loud')
    expect(stdout).not.toContain('quiet')
    expect((await run(folder, ['query', '--server_url=http://127.0.0.1:9/'])).stderr).toContain(
      'EVT_UNREACHABLE',
    )
  })

  it('a demo tells nobody, and leaves the record of the laboratory alone', () => {
    const environment = {
      DB_URL: 'mongodb://lab',
      EVENT_EMAIL_ALERTS__SMTP_SERVER: 'mail.lab',
      EVENT_FANOUT: '[{"name": "loki", "url": "http://loki:3100/otlp"}]',
      EVENT_ALERT_CHANNELS: '{"a": {"kind": "webhook", "url": "http://lab/"}}',
      EVENT_BACKUP_ENABLED: 'true',
      EVENT_RETENTION_ENABLED: 'true',
    }
    expect(readConfig({ environment, flags: demoFlags })).toMatchObject({
      documentDbUrl: 'sqlite:.madsci/demo.db',
      emailAlerts: undefined,
      fanout: [],
      alertChannels: {},
      backupEnabled: false,
      retentionEnabled: false,
      enableRegistryResolution: false,
    })
  })

  it('shows how far long work is when a terminal watches, and nothing else', async () => {
    const folder = await makeFolder()
    await fill(folder, 'a.db')
    const a = '--document_db_url=sqlite:a.db'
    const b = '--document_db_url=sqlite:b.db'
    const receiver = await startTestReceiver({ flags: { document_db_url: `sqlite:${join(folder, 'c.db')}` } })
    cleanups.push(() => receiver.close())
    const path = (await run(folder, ['backup', `--server_url=${receiver.url}`, '--json'])).stdout
    const bar = /\[#+ *\] \d+ % {2}\d+ (events|ids checked) {2}\d+ s/
    for (const args of [
      ['export', 'all.ndjson', a],
      ['import', 'all.ndjson', b],
      ['import', 'sqlite:a.db', b],
    ]) {
      const seen = await run(folder, args, { isTTY: true })
      expect(seen.code).toBe(0)
      expect(seen.stderr, args.join(' ')).toMatch(bar)
      expect(seen.stderr.replace(/\d+ events were exported\n/, '').endsWith('\r\u001b[K')).toBe(true)
      expect((await run(folder, args)).stderr).not.toContain('#')
    }
    const filtered = await run(folder, ['export', 'some.ndjson', a, '--level=info'], { isTTY: true })
    expect(filtered.stderr).toMatch(/\d+ events {2}\d+ s/)
    expect(filtered.stderr).not.toMatch(bar)
    const restored = await run(folder, ['restore', JSON.parse(path).backup_path, b], { isTTY: true })
    expect(restored).toMatchObject({ code: 0, stdout: expect.stringContaining('every id of the backup') })
  })

  it('says what is wrong with a command line, with exit code 2', async () => {
    const folder = await makeFolder()
    for (const args of [
      ['import'],
      ['query', 'a', 'b'],
      ['nothing'],
      ['serve', '--promote'],
      ['tail', '--nope'],
    ])
      expect((await run(folder, args)).code, args.join(' ')).toBe(2)
    expect(await run(folder, [])).toMatchObject({ code: 2, stdout: '' })
  })

  it('has a help for itself and for each command, with options, examples that parse, and exit codes', async () => {
    const folder = await makeFolder()
    const help = await run(folder, ['--help'])
    expect(help.code).toBe(0)
    for (const [name, command] of Object.entries(commands)) {
      expect(help.stdout).toContain(`  ${name} `)
      const own = await run(folder, [name, '--help'])
      expect(own.code).toBe(0)
      expect(own).toEqual(await run(folder, ['help', name]))
      for (const option of Object.keys(command.options ?? {})) expect(own.stdout).toContain(`--${option}`)
      for (const example of command.examples) {
        expect(own.stdout.replace(/\n {4}/g, ' ')).toContain(`madsci-events ${example}`)
        const words = [...example.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!)
        const args = words.slice(0, words.includes('>') ? words.indexOf('>') : undefined)
        // With --help at the end the line is parsed, and nothing is done.
        expect((await run(folder, [...args, '--help'])).code, example).toBe(0)
      }
      expect(own.stdout).toContain('Exit codes:')
    }
    expect((await run(folder, ['help', 'nothing'])).code).toBe(2)
  })

  it('shows the settings that count, with where they came from, and no secret', async () => {
    const folder = await makeFolder()
    await mkdir(join(folder, '.git'))
    await writeFile(
      join(folder, 'settings.yaml'),
      'manager_name: Events\nemail_alerts: {smtp_password: hunter2}\n',
    )
    const url = '--document_db_url=mongodb://me:hunter2@db:1/x?authSource=hunter2'
    const text = (await run(folder, ['config', url])).stdout
    expect(text).not.toContain('hunter2')
    expect(text).toMatch(/^document_db_url +mongodb:\/\/db:1\/x {4}\(--document_db_url\)$/m)
    expect(text).toContain(`Events    (manager_name in ${join(folder, 'settings.yaml')})`)
    expect(text.split('\n')).toHaveLength(Object.keys(settings).length + 1)
    const given = await run(folder, ['config', url, '--given', '--json'])
    expect(JSON.parse(given.stdout)).toEqual({
      document_db_url: { value: 'mongodb://db:1/x', from: '--document_db_url' },
      manager_name: { value: 'Events', from: expect.stringContaining('settings.yaml') },
      email_alerts: {
        value: expect.objectContaining({ smtp_password: '***REDACTED***' }),
        from: expect.any(String),
      },
    })
    // Also what only the room of alerts can judge, in one list.
    const rules = '--alert_rules=[{"name": "a", "nope": 1}]'
    const many = await run(folder, ['config', '--otlp_port=x', '--alert_channels={"a": {}}', rules])
    expect(many.stderr).toContain('--otlp_port must')
    expect(many.stderr).toMatch(/alert_channels\.a\.kind must .* \(--alert_channels\)/)
    expect(many.stderr).toContain('alert_rules[0].nope is unknown (--alert_rules)')
    const wrong = await run(folder, ['config', '--json', '--otlp_port=x', '--log_level=loud'])
    expect(wrong).toMatchObject({ code: 1, stdout: '' })
    expect(JSON.parse(wrong.stderr).error).toMatchObject({
      code: 'EVT_CONFIG',
      detail: [expect.any(String), expect.any(String)],
    })
  })
})
