import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { EventError } from '@madsci-events/sdk/event'
import { type Finding, good, problem } from '../../finding.ts'
import type { Inspection } from '../inspection.ts'
import { openReadable } from './connection.ts'
import { adviceForDamage } from './damage.ts'
import { lockFile } from './lock.ts'
import { schemaSteps, upgradeSchema } from './schema.ts'

// Reading a larger file whole takes too long for a look.
const checkedBytes = 200 * 1024 * 1024

/** Looks at a file of events, also one that a receiver owns; makes none. */
export function inspectSqlite(path: string): Inspection {
  if (!existsSync(path)) {
    const findings = [good('database', `SQLite ${path} is not there yet; the first start makes it`)]
    return { findings, isInUse: false }
  }
  const findings: Finding[] = []
  const lacks = [path, dirname(path)].find((one) => !isWritable(one))
  if (lacks !== undefined) {
    findings.push(
      problem(
        'database',
        `${lacks} is not writable`,
        `give the user that runs the receiver the right to write it`,
      ),
    )
  }
  let isInUse = false
  try {
    lockFile(path).release()
    findings.push(good('database', `SQLite ${path}; no receiver owns it now`))
  } catch (error) {
    isInUse = (error as EventError).code === 'EVT_STORE_LOCKED'
    if (isInUse) findings.push(good('database', `SQLite ${path}; a running receiver owns it`))
    else findings.push(toProblem(path, error))
  }
  let database: DatabaseSync
  try {
    database = openReadable(path)
  } catch (error) {
    return { findings: [...findings, toProblem(path, error)], isInUse }
  }
  try {
    findings.push(...inspectSchema(database, path))
    if (findings.some(({ state }) => state === 'problem')) return { findings, isInUse }
    const { count } = database
      .prepare(`SELECT (SELECT coalesce(max(seq), 0) FROM events) AS count`)
      .get() as { count: number }
    const newest = database.prepare('SELECT max(event_timestamp) AS newest FROM events').get()?.newest
    findings.push(
      good('database', count === 0 ? 'it holds no events' : `its newest event has the number ${count}`),
    )
    return { findings, isInUse, ...(typeof newest === 'string' && { newest }) }
  } catch (error) {
    return { findings: [...findings, toProblem(path, error)], isInUse }
  } finally {
    database.close()
  }
}

function inspectSchema(database: DatabaseSync, path: string): Finding[] {
  const version = Number(Object.values(database.prepare('PRAGMA user_version').get()!)[0])
  const expected = new DatabaseSync(':memory:')
  try {
    if (version > schemaSteps.length || (version === 0 && namesOf(database).length > 0)) {
      const whose = version === 0 ? 'of another program' : `of a newer release (schema ${version})`
      return [
        problem(
          'database',
          `${path} is ${whose}`,
          'name another file in document_db_url, or install that release',
        ),
      ]
    }
    if (version < schemaSteps.length) {
      return [good('database', `schema ${version}; the next start brings it to ${schemaSteps.length}`)]
    }
    upgradeSchema(expected, ':memory:')
    const present = new Set(namesOf(database))
    const missing = namesOf(expected).filter((name) => !present.has(name))
    const findings =
      missing.length === 0
        ? [good('database', `schema ${version}, all tables and indexes are there`)]
        : [
            problem(
              'database',
              `${missing.join(', ')}: missing`,
              'restore a backup, or export the events and import them into a new file',
            ),
          ]
    if (statSync(path).size > checkedBytes) return findings
    const verdict = Object.values(database.prepare('PRAGMA quick_check(1)').get()!)[0]
    if (verdict === 'ok') return findings
    return [
      ...findings,
      problem('database', `${path} is damaged: ${String(verdict).replaceAll('\n', '; ')}`, adviceForDamage),
    ]
  } finally {
    expected.close()
  }
}

const namesOf = (database: DatabaseSync) =>
  database
    .prepare("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    .all()
    .map(({ name }) => String(name))

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

const toProblem = (path: string, error: unknown) =>
  problem(
    'database',
    `${path} cannot be used: ${(error as { errstr?: string }).errstr ?? (error as Error).message}`,
    'check its rights, its folder and its disk; if it is no database of events, name another file in document_db_url',
  )
