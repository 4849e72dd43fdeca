import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createEventId } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { whyNoImage } from './docker.ts'
import { findFreePort } from './process.ts'

/** Where a real MongoDB comes from, or why there is none. Only a 'binary' can be killed and restarted. */
export type MongoSource =
  | { kind: 'url'; url: string }
  | { kind: 'binary'; path: string }
  | { kind: 'container' }
  | { skip: string }

export interface MongodOptions {
  /** A replica set of one, initiated and writable. Needs a binary. */
  replicaSet?: boolean
  /** Of a replica set that the caller initiates (rs0): settles when it answers. Needs a binary. */
  member?: boolean
  /** Fail points (`failCommand`). Needs a binary. */
  testCommands?: boolean
  /** Its files, which stay; for a database that is made once. Needs a binary. */
  folder?: string
}

export interface Mongod {
  readonly url: string
  /** Of the real mongod process; undefined when it is not ours. */
  readonly pid: number | undefined
  /** SIGKILL; settles when the process is gone. Files stay. */
  kill(): Promise<void>
  /** Starts again on the same port and files; settles when it takes writes. */
  restart(): Promise<void>
  /** Ends it and removes its files. */
  stop(): Promise<void>
}

const image = process.env.MONGO_IMAGE ?? 'mongo:8.0'

/** In this order: MONGODB_URL, mongod by MONGOD_BINARY or on PATH, Docker. */
export async function findMongo(): Promise<MongoSource> {
  const { MONGODB_URL: url, MONGOD_BINARY: binary } = process.env
  if (url) return { kind: 'url', url }
  if (binary) {
    return isExecutable(binary)
      ? { kind: 'binary', path: binary }
      : { skip: `MONGOD_BINARY=${binary} is no program` }
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'mongod')
    if (folder && isExecutable(path)) return { kind: 'binary', path }
  }
  const lack = await whyNoImage(image)
  if (lack === undefined) return { kind: 'container' }
  return { skip: `no MongoDB: neither MONGODB_URL, nor mongod (MONGOD_BINARY or PATH), and ${lack}` }
}

/** A name that no other test uses. */
export const freshDatabaseName = () => `test_${createEventId().toLowerCase()}`

/** Throws when `findMongo` finds none, or none that can do what the options ask. */
export async function startMongod(options: MongodOptions = {}): Promise<Mongod> {
  const source = await findMongo()
  if ('skip' in source) throw new Error(source.skip)
  if (source.kind === 'binary') return startBinary(source.path, options)
  if (options.replicaSet || options.member || options.testCommands || options.folder)
    throw new Error('only a mongod binary takes options')
  return source.kind === 'url' ? borrowed(source.url, async () => {}) : startContainer()
}

function borrowed(url: string, stop: () => Promise<void>): Mongod {
  const refuse = () => Promise.reject(new Error('this MongoDB is not ours to kill'))
  return { url, pid: undefined, kill: refuse, restart: refuse, stop }
}

async function startContainer(): Promise<Mongod> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const container = await new GenericContainer(image)
    .withExposedPorts(27017)
    .withWaitStrategy(Wait.forLogMessage(/Waiting for connections/))
    .start()
  const url = `mongodb://${container.getHost()}:${container.getMappedPort(27017)}/`
  return borrowed(url, async () => {
    await container.stop()
  })
}

// The shell outlives a killed test run: its input ends with us, and then mongod does.
const guardScript = '"$@" </dev/null >/dev/null 2>&1 & pid=$!; echo $pid; read _; kill -9 $pid; wait $pid'

async function startBinary(path: string, options: MongodOptions): Promise<Mongod> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'madsci-mongod-')))
  await mkdir(folder, { recursive: true })
  const port = await findFreePort()
  const logFile = join(folder, 'mongod.log')
  const flags = ['--dbpath', folder, '--port', `${port}`, '--bind_ip', '127.0.0.1', '--nounixsocket']
  flags.push('--logpath', logFile, '--logappend', '--wiredTigerCacheSizeGB', '0.5')
  flags.push('--setParameter', 'diagnosticDataCollectionEnabled=false')
  if (options.replicaSet || options.member) flags.push('--replSet', 'rs0')
  if (options.testCommands) flags.push('--setParameter', 'enableTestCommands=1')

  let guard: ChildProcess | undefined
  let pid: number | undefined
  async function start(): Promise<void> {
    const child = spawn('/bin/sh', ['-c', guardScript, 'sh', path, ...flags], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdin!.on('error', () => {})
    child.unref()
    guard = child
    pid = Number(await new Promise<Buffer>((resolve) => child.stdout!.once('data', resolve)))
    child.stdout!.destroy()
    await waitUntilUsable(port, options, pid).catch(async (error) => {
      const log = await readFile(logFile, 'utf8').catch(() => '')
      throw new Error(`mongod did not start: ${log.slice(-2000)}`, { cause: error })
    })
  }
  async function kill(): Promise<void> {
    const child = guard
    if (!child) return
    guard = undefined
    pid = undefined
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.ref()
    child.stdin!.end('\n')
    await gone
  }
  await start()
  return {
    url: `mongodb://127.0.0.1:${port}/${options.replicaSet ? '?replicaSet=rs0' : ''}`,
    get pid() {
      return pid
    },
    kill,
    restart: () => kill().then(start),
    async stop() {
      await kill()
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true })
    },
  }
}

async function waitUntilUsable(
  port: number,
  { replicaSet, member }: MongodOptions,
  pid: number,
): Promise<void> {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 300,
  })
  const admin = client.db('admin')
  const deadline = Date.now() + 30_000
  try {
    for (;;) {
      try {
        // A failed connect leaves a closed client behind; only connect() opens it again.
        await client.connect()
        if (replicaSet) await initiate(client, port)
        if ((await admin.command({ hello: 1 })).isWritablePrimary || member) return
      } catch (error) {
        if (Date.now() > deadline || isGone(pid)) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  } finally {
    await client.close()
  }
}

async function initiate(client: MongoClient, port: number): Promise<void> {
  const members = [{ _id: 0, host: `127.0.0.1:${port}` }]
  await client
    .db('admin')
    .command({ replSetInitiate: { _id: 'rs0', members } })
    .catch((error: { codeName?: string }) => {
      if (error.codeName !== 'AlreadyInitialized') throw error
    })
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
