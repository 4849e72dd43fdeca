import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId, isUlid } from '@madsci-events/sdk/event'
import { findMadsciFolder } from './folder.ts'
import type { Log } from './log.ts'
import { makePrivateFolder, privateFileMode } from './private-file.ts'

export interface ResolveManagerIdOptions {
  /** The manager's name, which is its key in the registry. */
  name: string
  /** Where the search for `.madsci/` begins. */
  start: string
  log: Log
}

const triesBeforeDead = 100
const mostTries = 1000
const deadMs = 1500

interface Registry {
  entries: { [name: string]: { id: string } }
  [key: string]: unknown
}

/**
 * The id under which this manager is known, the same at each start: from MADSci's registry (`.madsci/registry.json` of the laboratory,
 * else of the home folder), where it is entered at the first start: of receivers that start together, by one for all. MADSci's own lock
 * does not count: receivers that share a database share their name.
 * A registry that cannot be read or written costs a warning, and the id is a new one.
 */
export async function resolveManagerId({ name, start, log }: ResolveManagerIdOptions): Promise<string> {
  const folder = findMadsciFolder(start)
  const paths = [folder ?? join(start, '.madsci'), ...(folder ? [] : [join(homedir(), '.madsci')])]
  try {
    for (const path of paths) {
      const id = (await read(join(path, 'registry.json')))?.entries[name]?.id
      if (id !== undefined && isUlid(id)) return id
    }
    return await enterOnce(join(paths[0]!, 'registry.json'), name)
  } catch (error) {
    log.warn({ err: error }, 'the registry of names cannot be used; manager_id is a new one')
    return createEventId()
  }
}

async function read(path: string): Promise<Registry | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const registry = JSON.parse(text)
  if (typeof registry?.entries !== 'object' || registry.entries === null)
    throw new Error(`${path} is no registry of MADSci`)
  return registry
}

/** The id of that name, which another receiver may have entered meanwhile. */
async function enterOnce(path: string, name: string): Promise<string> {
  makePrivateFolder(dirname(path))
  const lock = `${path}.entering`
  await take(lock)
  try {
    const known = (await read(path))?.entries[name]?.id
    if (known !== undefined && isUlid(known)) return known
    const id = createEventId()
    await enter(path, name, id)
    return id
  } finally {
    await rm(lock, { force: true })
  }
}

/** Makes the file, once nobody else has it: who had it for seconds has died. */
async function take(lock: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await writeFile(lock, '', { flag: 'wx', mode: privateFileMode })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    await sleep(20)
    if (tries % triesBeforeDead === 0) await removeDead(lock)
    if (tries === mostTries) throw new Error(`${lock} does not go away: remove it`)
  }
}

/** One at a time, so that nobody removes what another has taken since it was looked at. */
async function removeDead(lock: string): Promise<void> {
  const removing = `${lock}.removing`
  try {
    await writeFile(removing, '', { flag: 'wx', mode: privateFileMode })
  } catch {
    return
  }
  try {
    if (await isOld(lock)) await rm(lock, { force: true })
  } finally {
    await rm(removing, { force: true })
  }
}

const isOld = (lock: string): Promise<boolean> =>
  stat(lock).then(
    ({ mtimeMs }) => Date.now() - mtimeMs > deadMs,
    () => false,
  )

/** In MADSci's form, which its other programs read; one that they made stays as readable as it was. */
async function enter(path: string, name: string, id: string): Promise<void> {
  const now = new Date().toISOString()
  const registry = (await read(path)) ?? { version: 1, created_at: now, entries: {} }
  registry.updated_at = now
  const entry = { component_type: 'manager', created_at: now, last_seen: now, metadata: {}, lock: null }
  registry.entries[name] = { id, ...entry }
  const mode = await stat(path).then(
    (found) => found.mode & 0o777,
    () => privateFileMode,
  )
  const aside = `${path}.${createEventId()}`
  await writeFile(aside, JSON.stringify(registry, undefined, 2), { flag: 'wx', mode })
  await rename(aside, path)
}
