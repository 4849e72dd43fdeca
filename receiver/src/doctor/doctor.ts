import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import { verifyBackup } from '../backup/backup.ts'
import { nextBackup } from '../backup/schedule.ts'
import { type Config, describeUnknown, type ReadConfigOptions, readConfig } from '../config/config.ts'
import { type Finding, good, problem, warning } from '../finding.ts'
import { resolveDataPath } from '../folder.ts'
import { countOf } from '../plural.ts'
import type { Inspection } from '../store/inspection.ts'
import { findMadsciDatabase } from '../store/mongo/detect.ts'
import { inspectMongo } from '../store/mongo/inspect.ts'
import { inspectSqlite } from '../store/sqlite/inspect.ts'
import { showUrl } from '../url.ts'
import { inspectAlerts } from './alert.ts'
import { compareClock, inspectClock } from './clock.ts'
import { inspectDisk } from './disk.ts'
import { askAddress, inspectPort, type WantedPort } from './port.ts'

export type ExamineOptions = ReadConfigOptions & {
  workingDirectory: string
  /** Sends a test message by each channel. */
  isTested?: boolean
}

/** Looks at everything that a receiver with these settings needs, and says what to do; changes nothing, and sends nothing but the tests that were asked for. */
export async function* examine(options: ExamineOptions): AsyncGenerator<Finding> {
  let config: Config
  try {
    config = readConfig(options)
  } catch (error) {
    if (!(error instanceof EventError)) throw error
    for (const text of error.detail as string[]) {
      yield problem('settings', text, 'correct it: madsci-events --help lists what every setting takes')
    }
    return
  }
  yield good(
    'settings',
    `${countOf(config.given.size, 'is', 'are')} set: madsci-events config --given shows them`,
  )
  for (const name of config.unknown) {
    yield warning('settings', describeUnknown(name), 'correct its name, or remove it')
  }
  for (const text of config.warnings) {
    yield warning('settings', text, 'correct that setting or file')
  }
  const startMs = performance.timeOrigin + performance.now() - Date.now()

  const { workingDirectory } = options
  const answerer = await askAddress(config.serverUrl)
  const inspection = await inspectDatabase(config, workingDirectory, answerer?.newestId)
  yield* inspection.findings
  if (!config.given.has('document_db_url')) {
    const url = await findMadsciDatabase()
    const advice = `to use it: --document_db_url=${url}`
    if (url) yield warning('database', `a MADSci database lies at ${url}, and is not used`, advice)
  }

  if (answerer?.isOurs && inspection.isInUse === false) yield compareDatabase(config, workingDirectory)
  for (const wanted of portsOf(config)) {
    const isAsked = wanted.name === 'server_url' || answerer?.settings[wanted.name] === wanted.port
    yield await inspectPort(wanted, isAsked ? answerer : undefined)
  }

  if (inspection.clock) {
    yield compareClock("the database's clock", inspection.clock.offsetMs, inspection.clock.toleranceMs)
  }
  if (answerer?.isEventManager && answerer.offsetMs !== undefined)
    yield compareClock("the receiver's clock", answerer.offsetMs, 600)
  const driftMs = startMs - (performance.timeOrigin + performance.now() - Date.now())
  yield* inspectClock(inspection.newest, driftMs, Date.now())

  if (config.documentDbUrl.startsWith('sqlite:')) {
    const folder = dirname(resolve(workingDirectory, config.documentDbUrl.slice('sqlite:'.length)))
    yield* await inspectDisk('disk', folder, 'data folder')
  }
  yield* inspectBackups(config, workingDirectory)
  yield* inspectAlerts(config, answerer, options.isTested === true)
}

// Where the command demo keeps its events.
const demoPath = '.madsci/demo.db'

/** Of what use is a look at a database in which nobody keeps anything? */
function compareDatabase(
  { documentDbUrl, databaseName, serverUrl }: Config,
  workingDirectory: string,
): Finding {
  const name = documentDbUrl.startsWith('mongodb') ? ` (${databaseName})` : ''
  const hint = existsSync(join(workingDirectory, demoPath))
    ? `; if it is the demo, add --document_db_url=sqlite:${demoPath}`
    : ''
  return problem(
    'database',
    `the receiver that runs at ${showUrl(serverUrl)} keeps its events elsewhere: what is said here is of ${showUrl(documentDbUrl)}${name}`,
    `run doctor in the folder of that receiver, with its variables${hint}`,
  )
}

async function inspectDatabase(
  config: Config,
  workingDirectory: string,
  newestId: string | undefined,
): Promise<Inspection> {
  const { documentDbUrl: url, databaseName, collectionName } = config
  if (url === 'null:') {
    const advice = 'set document_db_url; null: is for measuring'
    return { findings: [warning('database', 'no event is kept', advice)] }
  }
  if (url.startsWith('sqlite:')) return inspectSqlite(resolve(workingDirectory, url.slice('sqlite:'.length)))
  return inspectMongo({ url, databaseName, collectionName }, newestId)
}

function portsOf(config: Config): WantedPort[] {
  const host = config.serverUrl.hostname.replace(/^\[|\]$/g, '')
  const more = [
    ['otlp_port', config.otlpPort],
    ['grpc_port', config.grpcPort],
  ] as const
  return [
    { name: 'server_url', host, port: Number(config.serverUrl.port || 80), isGiven: true },
    ...more.flatMap(([name, port]) =>
      port === undefined ? [] : [{ name, host, port, isGiven: config.given.has(name) }],
    ),
  ]
}

async function* inspectBackups(config: Config, workingDirectory: string): AsyncGenerator<Finding> {
  const start = config.settingsFolder ?? workingDirectory
  let folder: string
  try {
    folder = resolveDataPath(config.backupDir, start, workingDirectory)
  } catch (error) {
    return yield problem('backup', (error as Error).message, 'the receiver does not start before that')
  }
  const [space, speed] = await inspectDisk('backup', folder, 'backup folder')
  yield space!
  if (speed!.state === 'problem') yield speed!
  const prefix = `${config.databaseName}_backup_`
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(prefix)).sort()
  const newest = names.filter((name) => !name.endsWith('.partial')).at(-1)
  if (newest === undefined) {
    const text = 'there is no backup'
    if (!config.backupEnabled)
      yield warning('backup', text, 'set backup_enabled=true, or run madsci-events backup')
    else
      yield good(
        'backup',
        `${text} yet; the receiver makes the first ${toFirst(config.backupSchedule ?? '@daily')}`,
      )
    return
  }
  try {
    const { events, timestamp } = await verifyBackup(join(folder, newest))
    yield good(
      'backup',
      `the newest of ${names.length} is whole: ${events === null || events === undefined ? '? events' : countOf(events, 'event')} of ${timestamp}`,
    )
  } catch (error) {
    yield problem('backup', (error as Error).message, 'make a new one now: madsci-events backup')
  }
}

function toFirst(pattern: string): string {
  const next = nextBackup(pattern)
  return next ? `at ${next.toLocaleString('sv')}, local time` : `never: ${pattern} does not come`
}
