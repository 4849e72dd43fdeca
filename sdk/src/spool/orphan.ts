import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { claimHomes, listHomes, listSegments } from './folder.ts'
import { isAbandoned } from './owner.ts'

/** A program that has given no sign of life for so long may never come back: whoever speaks to its endpoint sends its events. */
export const orphanMs = 3_600_000
/** What nobody can send is told after that. */
const toldMs = 24 * 3_600_000

export interface Orphans {
  /** Folders of programs with another name and this endpoint; they are ours now. */
  homes: string[]
  /** Of what waits for other endpoints: a sentence each, once for the process. */
  warnings: string[]
}

const told = new Set<string>()

/** Looks at the folders beside `stream`, which is ours. */
export function adoptOrphans(spoolDir: string, stream: string, endpoint: string): Orphans {
  const orphans: Orphans = { homes: [], warnings: [] }
  for (const name of readdirSync(spoolDir)) {
    const other = resolve(spoolDir, name)
    if (other === stream) continue
    try {
      adopt(other, endpoint, orphans)
    } catch {
      // No stream, or gone meanwhile.
    }
  }
  return orphans
}

function adopt(stream: string, endpoint: string, orphans: Orphans): void {
  const about = JSON.parse(readFileSync(join(stream, 'stream.json'), 'utf8'))
  if (about.endpoint === endpoint) {
    orphans.homes.push(...claimHomes(stream, { idleMs: orphanMs }))
    return
  }
  if (told.has(stream)) return
  const waiting = listHomes(stream).filter(
    ({ home, owner }) => isAbandoned(owner, statSync(home).mtimeMs, toldMs) && listSegments(home).length > 0,
  )
  if (waiting.length === 0) return
  told.add(stream)
  const seen = new Date(Math.max(...waiting.map(({ home }) => statSync(home).mtimeMs)))
  orphans.warnings.push(
    `events of '${about.name}' for ${about.endpoint} wait in ${stream} since ${seen.toISOString()}, and no program sends them: ` +
      'start one with that name and url, or see them with `madsci-events spool` and remove the folder',
  )
}
