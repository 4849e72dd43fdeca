import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MongoClient } from 'mongodb'
import { afterEach, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { compareClock, inspectClock } from '../../../receiver/src/doctor/clock.ts'
import { examine } from '../../../receiver/src/doctor/doctor.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { makeEvent } from '../../contract/event-store.contract.ts'
import { runLine } from '../../support/command-run.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { findFreePort } from '../../support/process.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { waitUntil } from '../../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-doctor-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  await mkdir(join(folder, '.git'))
  return folder
}

const quiet = { otlp_port: 'none', grpc_port: 'none', document_db_url: 'sqlite:events.db' }

/** Lines like `warning backup there is no backup`; every one that is not good says what to do. */
async function look(
  folder: string,
  flags: { [name: string]: string } = {},
  environment = {},
  isTested = false,
) {
  const lines: string[] = []
  const all = { server_url: `http://127.0.0.1:${await findFreePort()}`, ...quiet, ...flags }
  for await (const { state, check, text, advice } of examine({
    environment,
    flags: all,
    workingDirectory: folder,
    isTested,
  })) {
    lines.push(`${state} ${check} ${text}`)
    expect(advice === undefined, text).toBe(state === 'good')
  }
  const bad = (state: string) => lines.filter((line) => line.startsWith(state))
  return { lines, problems: bad('problem'), warnings: bad('warning') }
}

const untold = 'warning alerts nobody is told of errors yet'

describe('doctor', () => {
  it('finds nothing wrong with a folder where nothing is yet, and leaves nothing there', async () => {
    const folder = await makeFolder()
    const { lines, problems, warnings } = await look(folder)
    expect(problems).toEqual([])
    expect(warnings).toEqual(['warning backup there is no backup', untold])
    for (const check of ['settings', 'database', 'port', 'clock', 'disk', 'backup'])
      expect(lines.join('\n')).toMatch(new RegExp(`^good ${check} `, 'm'))
    expect(await readdir(folder)).toEqual(['.git'])
  })

  it('lists every wrong setting, and names that are none', async () => {
    const folder = await makeFolder()
    const { problems } = await look(folder, { otlp_port: 'x', log_level: 'loud' })
    expect(problems).toHaveLength(2)
    await writeFile(join(folder, 'events.settings.yaml'), 'retentoin_enabled: true')
    await writeFile(join(folder, 'settings.yaml'), 'event_bakcup: 1\nnode_name: x\nevent_client_name: x')
    await writeFile(join(folder, '.env'), 'EVENT_ALLERT=1\nNODE_NAME=1')
    const { warnings } = await look(folder, {}, { EVENT_RETENTON: '1', EVENT_CLIENT_NAME: 'x', HOME: '/' })
    expect(
      warnings.filter((line) => line.includes('is no setting')).map((line) => line.split(' ')[2]),
    ).toEqual(['EVENT_RETENTON', 'EVENT_ALLERT', 'retentoin_enabled', 'event_bakcup'])
  })

  it('knows a file of another program, of a newer release, without an index, and a damaged one', async () => {
    const folder = await makeFolder()
    const path = join(folder, 'events.db')
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE songs (name TEXT)')
    other.close()
    expect((await look(folder)).problems).toEqual([expect.stringContaining('of another program')])
    await rm(path)
    const store = await openSqliteStore({ path, log: silentLog })
    await store.write([makeEvent('1', { event_timestamp: '2100-01-01T00:00:00.000000' })])
    await store.close()
    const sound = await look(folder)
    expect(sound.problems).toEqual([])
    expect(sound.warnings[0]).toContain('from the future')
    const file = new DatabaseSync(path)
    file.exec('DROP INDEX events_time')
    file.close()
    expect((await look(folder)).problems).toEqual([expect.stringContaining('events_time: missing')])
    const newer = new DatabaseSync(path)
    newer.exec('PRAGMA user_version = 999')
    newer.close()
    expect((await look(folder)).problems).toEqual([expect.stringContaining('newer release')])
    await rm(path)
    await writeFile(path, 'x'.repeat(5000))
    expect((await look(folder)).problems.length).toBeGreaterThan(0)
  })

  it('recognises the running receiver and its file, a backup and what became of it', async () => {
    const port = await findFreePort()
    const server_url = `http://127.0.0.1:${port}/`
    const receiver = await startTestReceiver({
      flags: { server_url, manager_id: '01JJ4S0WNGEF5FQAZG5KDGJRBV' },
    })
    cleanups.push(() => receiver.close())
    await mkdir(join(receiver.folder, '.git'))
    const { backup_path: path } = (await (
      await fetch(`${receiver.url}backup`, { method: 'POST' })
    ).json()) as { backup_path: string }
    const flags = { server_url, document_db_url: 'sqlite:.madsci/events.db' }
    const { lines, problems, warnings } = await look(receiver.folder, flags)
    expect([...problems, ...warnings]).toEqual([untold])
    expect(lines.join('\n')).toContain('a running receiver owns it')
    expect(lines.join('\n')).toContain('is taken by a madsci-events receiver')
    expect(lines.join('\n')).toContain("the receiver's clock agrees")
    expect(lines.join('\n')).toContain('is whole: 0 events')
    await writeFile(join(path, 'backup.checksum'), 'nonsense')
    expect((await look(receiver.folder, flags)).problems).toEqual([expect.stringContaining('is damaged')])
  })

  it('tells rules that do not go on, as health does', async () => {
    const folder = await makeFolder()
    const path = join(folder, 'events.db')
    await (await openSqliteStore({ path, log: silentLog })).close()
    const database = new DatabaseSync(path)
    database.exec(`UPDATE alert_state SET version = 1, document = '{'`)
    database.close()
    const server_url = `http://127.0.0.1:${await findFreePort()}/`
    const alert_channels = JSON.stringify({ chat: { kind: 'webhook', url: 'http://127.0.0.1:9/' } })
    const flags = { server_url, alert_channels, document_db_url: `sqlite:${path}` }
    const receiver = await startTestReceiver({ flags: { ...flags, alert_private_hosts: '["127.0.0.1"]' } })
    cleanups.push(() => receiver.close())
    const stalledOf = async () => {
      const { alerts } = (await (await fetch(`${receiver.url}health`)).json()) as {
        alerts: { stalled: { since: string; reason: string } | null }
      }
      return alerts.stalled
    }
    await waitUntil(async () => (await stalledOf()) !== null, 'rules that do not go on')
    expect(await stalledOf()).toEqual({ since: expect.stringMatching(/^20.*Z$/), reason: expect.any(String) })
    expect(await (await fetch(`${receiver.url}metrics`)).text()).toMatch(
      /\nmadsci_alerts_stalled_seconds [0-9.]*[1-9]/,
    )
    const listed = await runLine(['alerts', `--server_url=${server_url}`], { workingDirectory: folder })
    expect(listed.stderr).toMatch(/rules and messages do not go on since 20.*: ./)
    expect((await look(folder, flags)).problems).toEqual([
      expect.stringMatching(/^problem alerts rules and messages do not go on since 20.*: ./),
    ])
  }, 90_000)

  it('says whether somebody is told of alerts, by a real test on request, and where the links lead', async () => {
    const port = await findFreePort()
    const taken: string[] = []
    const hook = createServer((request, response) => {
      taken.push(String(request.url))
      response.writeHead(request.url === '/good' ? 200 : 404).end()
    }).listen(0, '127.0.0.1')
    await once(hook, 'listening')
    cleanups.push(() => hook.close())
    const hookUrl = `http://127.0.0.1:${(hook.address() as { port: number }).port}`
    const channel = (path: string) => ({ kind: 'webhook', url: `${hookUrl}/${path}`, secret: 'x'.repeat(32) })
    const alert_channels = JSON.stringify({ chat: channel('good'), gone: channel('gone') })
    const server_url = `http://127.0.0.1:${port}/`
    const flags = { server_url, alert_channels, alert_private_hosts: '["127.0.0.1"]' }
    const of = (lines: string[]) => lines.filter((line) => line.includes(' alerts '))

    const folder = await makeFolder()
    expect(of((await look(folder)).lines)).toEqual([untold])
    const alone = await look(folder, flags, {}, true)
    expect(of(alone.lines)).toEqual([
      expect.stringContaining(`lead to ${server_url}, which is no address on other machines`),
      'warning alerts not tried: chat, gone, for no receiver runs',
    ])

    const receiver = await startTestReceiver({ flags })
    cleanups.push(() => receiver.close())
    await mkdir(join(receiver.folder, '.git'))
    const own = { ...flags, document_db_url: 'sqlite:.madsci/events.db' }
    const untested = of((await look(receiver.folder, own)).lines)
    expect(untested.slice(1)).toEqual([
      'good alerts messages that the running receiver gave up: 0; that wait: 0',
      expect.stringContaining('not tried: chat, gone'),
    ])
    expect(taken).toEqual([])
    const { lines } = await look(receiver.folder, own, {}, true)
    expect(of(lines).slice(2)).toEqual([
      expect.stringMatching(/^good alerts chat: a test message was accepted$/),
      expect.stringMatching(/^problem alerts gone: no message: .*404/),
    ])
    expect(taken.sort()).toEqual(['/gone', '/good'])

    // A message that was given up is a problem, though nobody asked for a test.
    await fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event_type: 'node_error', log_level: 40 }),
    })
    await expect
      .poll(async () => of((await look(receiver.folder, own)).lines)[1], { timeout: 15_000 })
      .toContain('problem alerts messages that the running receiver gave up: 1')
    const reached = await look(receiver.folder, { ...own, public_url: 'http://lab.invalid/' })
    expect(of(reached.lines)[0]).toContain(
      'warning alerts links in messages lead to http://lab.invalid/, which does not answer',
    )
  }, 60_000)

  it('says who has a port, and whether nobody can have it', async () => {
    const folder = await makeFolder()
    const server = createServer((_request, response) => response.end('{}')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanups.push(() => server.close())
    const { port } = server.address() as { port: number }
    const taken = await look(folder, { server_url: `http://127.0.0.1:${port}` })
    expect(taken.problems).toEqual([
      `problem port server_url: 127.0.0.1:${port} is taken by a program that is no event manager`,
    ])
    const otlp = await look(folder, { otlp_port: String(port) })
    expect(otlp.problems).toEqual([
      `problem port otlp_port: 127.0.0.1:${port} is taken by another program, perhaps another receiver`,
    ])
    // Beside a receiver that runs, a stranger on another of its ports stays a stranger.
    const receiver = await startTestReceiver({ flags: { otlp_port: String(await findFreePort()) } })
    cleanups.push(() => receiver.close())
    const otlpPort = new URL(receiver.otlpUrl).port
    const beside = await look(folder, {
      server_url: receiver.url,
      grpc_port: String(port),
      otlp_port: otlpPort,
    })
    expect(beside.problems).toEqual([
      expect.stringContaining('keeps its events elsewhere: what is said here is of sqlite:events.db'),
      `problem port grpc_port: 127.0.0.1:${port} is taken by another program, perhaps another receiver`,
    ])
    expect(beside.lines.join('\n')).toContain(
      `otlp_port: 127.0.0.1:${otlpPort} is taken by a madsci-events receiver`,
    )
    const foreign = await look(folder, { server_url: 'http://192.0.2.1:8001' })
    expect(foreign.problems).toEqual([expect.stringContaining('nobody can listen on 192.0.2.1:8001')])
  })

  it('looks at a real MongoDB, and tells why one cannot be used', async (context) => {
    const source = await findMongo()
    if ('skip' in source) return context.skip(source.skip)
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const folder = await makeFolder()
    const database_name = freshDatabaseName()
    const flags = { document_db_url: mongod.url, database_name }
    expect((await look(folder, flags)).problems).toEqual([])
    const store = await openMongoStore({ url: mongod.url, databaseName: database_name, log: silentLog })
    await store.write([makeEvent('1')])
    await store.close()
    const { lines, problems, warnings } = await look(folder, flags)
    expect(problems).toEqual([])
    expect(warnings).toEqual(['warning backup there is no backup', untold])
    for (const text of [
      'MongoDB ',
      'a durable write takes',
      'about 1 event',
      'all indexes are there',
      "the database's clock agrees",
    ])
      expect(lines.join('\n')).toContain(text)
    const client = await new MongoClient(mongod.url).connect()
    cleanups.push(() => client.close())
    const events = client.db(database_name).collection('events')
    expect(
      await client.db(database_name).collection<{ _id: string }>('events_meta').findOne({ _id: 'doctor' }),
    ).toBeNull()
    await events.createIndex({ archived_at: 1 }, { expireAfterSeconds: 86_400 })
    await events.dropIndex('event_timestamp_1')
    expect((await look(folder, flags)).warnings.slice(0, 2)).toEqual([
      expect.stringContaining('indexes are missing: event_timestamp'),
      expect.stringContaining('after 1 day (TTL index archived_at_1)'),
    ])
    // Beside a receiver that runs on another database, or on this one.
    const port = await findFreePort()
    const server_url = `http://127.0.0.1:${port}/`
    const elsewhere = await startTestReceiver({ flags: { server_url } })
    await fetch(`${server_url}event`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect((await look(folder, { ...flags, server_url })).problems).toEqual([
      expect.stringContaining(`keeps its events elsewhere: what is said here is of ${mongod.url}`),
    ])
    await elsewhere.close()
    const here = await startTestReceiver({ flags: { ...flags, server_url } })
    cleanups.push(() => here.close())
    expect((await look(folder, { ...flags, server_url })).problems).toEqual([])
    const away = await look(folder, { document_db_url: 'mongodb://me:hunter2@127.0.0.1:1' })
    expect(away.problems).toEqual([expect.stringContaining('MongoDB cannot be used')])
    expect(away.lines.join()).not.toContain('hunter2')
  })

  it('compares clocks', () => {
    expect(compareClock('x', 1500, 10)).toMatchObject({ state: 'good' })
    expect(compareClock('x', -5000, 10)).toMatchObject({
      state: 'warning',
      text: expect.stringContaining('5.0 s behind'),
    })
    expect(compareClock('x', 5000, 4000)).toMatchObject({ state: 'good' })
    const nowMs = Date.parse('2026-11-24T12:00:00Z')
    expect(inspectClock('2026-11-24T12:04:00.000000', 0, nowMs)).toMatchObject([{ state: 'good' }])
    expect(inspectClock('2026-11-24T12:06:00.000000Z', 3_600_000, nowMs)).toMatchObject([
      { state: 'warning', text: expect.stringContaining('jumped') },
      { state: 'warning', text: expect.stringContaining('6 minutes from the future') },
    ])
  })

  it('is a command: text or JSON, exit code 1 for a problem', async () => {
    const folder = await makeFolder()
    let stdout = ''
    const write = (text: string) => {
      stdout += text
    }
    const terminal = {
      environment: {},
      workingDirectory: folder,
      stdout: { write },
      stderr: { write },
      stopping: new AbortController().signal,
    }
    const flags = Object.entries({ ...quiet, server_url: `http://127.0.0.1:${await findFreePort()}` })
    const args = ['doctor', ...flags.map(([name, value]) => `--${name}=${value}`)]
    expect(await runCommand(args, terminal)).toBe(0)
    expect(stdout).toMatch(/^ok {7}settings/)
    expect(stdout).toContain('0 problems, 2 warnings\n')
    stdout = ''
    expect(await runCommand([...args, '--json', '--database_name=/'], terminal)).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      problems: 1,
      findings: [{ check: 'settings', state: 'problem' }],
    })
  })
})
