import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { madsciSettingNames } from '../../receiver/src/config/madsci.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../support/mongod.ts'
import { findPeer, spawnPeer } from '../support/peer.ts'
import { findFreePort, spawnReceiver } from '../support/process.ts'

const peer = findPeer('MADSCI_PEER')
const source = await findMongo()
const reason = 'skip' in peer ? peer.skip : 'skip' in source ? source.skip : ''

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A laboratory's folder, which both programs start in. */
async function makeLab(files: { [name: string]: string } = {}): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'madsci-lab-')))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, '.madsci'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

interface Started {
  url: string
  stop(): Promise<unknown>
}

/** MADSci's own server, in this folder and with its settings. */
async function startOriginal(cwd: string, env: { [name: string]: string }): Promise<Started> {
  const url = `http://127.0.0.1:${await findFreePort()}/`
  const program = spawnPeer(
    (peer as { path: string }).path,
    ['python', '-m', 'madsci.event_manager.event_server'],
    {
      cwd,
      env: { EVENT_SERVER_URL: url, OTEL_SDK_DISABLED: 'true', ...env },
    },
  )
  cleanups.push(() => program.stop())
  for (let i = 0; i < 600; i++) {
    if (
      await fetch(`${url}health`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { url, stop: () => program.stop() }
}

async function startOurs(cwd: string, env: { [name: string]: string }): Promise<Started> {
  const url = `http://127.0.0.1:${await findFreePort()}/`
  const receiver = await spawnReceiver({
    cwd,
    flags: { grpc_port: 'none' },
    env: { HOME: process.env.HOME ?? '/', EVENT_SERVER_URL: url, ...env },
  })
  const stop = () => {
    receiver.kill('SIGTERM')
    return receiver.exited
  }
  cleanups.push(stop)
  return { url: receiver.url, stop }
}

const settingsOf = async (url: string) =>
  ((await (await fetch(`${url}settings`)).json()) as { settings: { [name: string]: unknown } }).settings

describe("beside MADSci's own event manager", () => {
  let mongod: Mongod
  beforeEach((context) => context.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason === '') mongod = await startMongod()
  })
  afterAll(() => mongod?.stop())

  it('the same files and variables give the same settings', async () => {
    const lab = await makeLab({
      '.env': 'EVENT_COLLECTION_NAME=dotenv\nEVENT_BACKUP_MAX_COUNT=4\nNODE_NAME=x\n',
      'events.env': 'EVENT_BACKUP_MAX_COUNT="7"\n',
      'settings.yaml':
        'manager_name: from yaml\nlab_url: http://lab:8000\nevent_archive_batch_size: 77\nretention_enabled: yes\nunknown: 1\n',
      'event.settings.yaml': 'manager_description: of the laboratory\nalert_level: warning\n',
      'settings.toml':
        'rate_limit_window = 30\nmanager_name = "from toml"\nrate_limit_exempt_ips = ["10.0.0.1"]\n',
      'config/events.settings.json': '{"max_batches_per_run": 0, "rate_limit_requests": 1000}',
      'settings.json':
        '{"event_rate_limit_requests": 999, "email_alerts": {"smtp_server": "mail.lab", "smtp_password": "p"}}',
    })
    const env = {
      EVENT_DB_URL: mongod.url,
      EVENT_DATABASE_NAME: freshDatabaseName(),
      event_soft_delete_after_days: '12',
      EVENT_MANAGER_ID: '01JJ4S0WNGEF5FQAZG5KDGJRBV',
      EVENT_OTEL_SERVICE_NAME: 'events',
      EVENT_UVICORN_LIMIT_CONCURRENCY: '500',
      EVENT_ENABLE_REGISTRY_RESOLUTION: 'false',
    }
    const original = await startOriginal(lab, env)
    const theirs = await settingsOf(original.url)
    await original.stop()
    const ours = await settingsOf((await startOurs(lab, env)).url)
    const shared = Object.fromEntries(madsciSettingNames.map((name) => [name, ours[name]]))
    // Members of our own stand beside those of the original.
    expect(shared.email_alerts).toMatchObject(theirs.email_alerts as object)
    expect({ ...shared, server_url: theirs.server_url, email_alerts: theirs.email_alerts }).toEqual(theirs)
    expect(theirs).toMatchObject({
      manager_name: 'from toml',
      backup_max_count: 7,
      rate_limit_requests: 1000,
    })
  })

  it('the rate limits say the same, header by header', async () => {
    const lab = await makeLab()
    const env = {
      EVENT_DB_URL: mongod.url,
      EVENT_DATABASE_NAME: freshDatabaseName(),
      EVENT_ENABLE_REGISTRY_RESOLUTION: 'false',
      EVENT_RATE_LIMIT_EXEMPT_IPS: '[]',
      EVENT_RATE_LIMIT_REQUESTS: '40',
      EVENT_RATE_LIMIT_SHORT_REQUESTS: '30',
      EVENT_RATE_LIMIT_SHORT_WINDOW: '2',
    }
    const seen: unknown[] = []
    for (const start of [startOriginal, startOurs]) {
      const { url, stop } = await start(lab, env)
      // What the start itself asked has left the short window.
      await new Promise((resolve) => setTimeout(resolve, 2500))
      const answers: unknown[] = []
      for (let i = 0; i < 45; i++) {
        const answer = await fetch(`${url}settings`)
        const names = [...answer.headers.keys()].filter((name) => name.startsWith('x-ratelimit')).sort()
        const burst = answer.headers.get('x-ratelimit-burst-remaining')
        const { detail } =
          answer.status === 429 ? ((await answer.json()) as { detail: string }) : { detail: '' }
        const retryAfter = Number(answer.headers.get('retry-after') ?? 0)
        const reset = Number(answer.headers.get('x-ratelimit-reset')) - Date.now() / 1000
        expect(reset).toBeGreaterThan(50)
        expect(reset).toBeLessThanOrEqual(61)
        answers.push({ status: answer.status, names, burst, detail, isShort: retryAfter <= 2 })
        // Ten more once the short window is empty again, so that the long one refuses as well.
        if (i === 31) await new Promise((resolve) => setTimeout(resolve, 2500))
      }
      seen.push(answers.filter((_, i) => i < 32))
      const details = answers.map((one) => (one as { detail: string }).detail).filter((text) => text !== '')
      expect(new Set(details)).toEqual(
        new Set([
          'Rate limit exceeded: 30 requests per 2 seconds (burst limit)',
          'Rate limit exceeded: 40 requests per 60 seconds',
        ]),
      )
      await stop()
    }
    expect(seen[1]).toEqual(seen[0])
  })

  it('a manager has one id with both, whichever came first', async () => {
    for (const [first, second] of [
      [startOriginal, startOurs],
      [startOurs, startOriginal],
    ] as const) {
      const lab = await makeLab()
      const env = { EVENT_DB_URL: mongod.url, EVENT_DATABASE_NAME: freshDatabaseName() }
      const ids: unknown[] = []
      for (const start of [first, second]) {
        const { url, stop } = await start(lab, env)
        ids.push((await settingsOf(url)).manager_id)
        await stop()
      }
      expect(ids[1]).toBe(ids[0])
    }
  })

  it('its TTL index goes when our retention comes, and comes again with it', async () => {
    const lab = await makeLab()
    const databaseName = freshDatabaseName()
    const env = {
      EVENT_DB_URL: mongod.url,
      EVENT_DATABASE_NAME: databaseName,
      EVENT_RETENTION_ENABLED: 'true',
      EVENT_HARD_DELETE_AFTER_DAYS: '20',
      EVENT_ENABLE_REGISTRY_RESOLUTION: 'false',
    }
    const client = await new MongoClient(mongod.url).connect()
    cleanups.push(() => client.close())
    const ttl = async () =>
      (await client.db(databaseName).collection('events').indexes()).find((index) => index.expireAfterSeconds)
        ?.expireAfterSeconds
    const seconds: unknown[] = []
    for (const start of [startOriginal, startOurs, startOriginal]) {
      const { stop } = await start(lab, env)
      seconds.push(await ttl())
      await stop()
    }
    expect(seconds).toEqual([20 * 86_400, undefined, 20 * 86_400])
  })
})
