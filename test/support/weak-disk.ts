import { readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What a program's syncs come to, between two times since its start; all of them if those are left out. */
export interface SyncFault {
  fromMs?: number
  toMs?: number
  /** `EIO`: it fails. */
  code?: string
  /** It takes so long. */
  delayMs?: number
}

export interface WeakDisk {
  /** Where each sync that came to its end is written down. */
  log: string
  faults?: SyncFault[]
}

/** Flags and variables of a program that writes on a disk like this. */
export function onWeakDisk(disk: WeakDisk): { nodeFlags: string[]; env: { WEAK_DISK: string } } {
  const preload = pathToFileURL(join(import.meta.dirname, 'weak-disk-preload.ts')).href
  return { nodeFlags: ['--import', preload], env: { WEAK_DISK: JSON.stringify(disk) } }
}

/**
 * What a power cut does to the files of a program that is gone: of a file remains what was synced of it, and of a folder
 * the names that were there when it was synced.
 */
export function cutPower(folder: string, { log }: WeakDisk): void {
  const sizes = new Map<string, number>()
  const names = new Map<string, string[]>()
  for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
    const entry = JSON.parse(line) as { path: string; size: number } | { path: string; names: string[] }
    if ('names' in entry) names.set(entry.path, entry.names)
    else sizes.set(entry.path, entry.size)
  }
  const visit = (path: string) => {
    if (!statSync(path).isDirectory()) return truncateSync(path, sizes.get(path) ?? 0)
    const kept = names.get(path) ?? []
    for (const name of readdirSync(path)) {
      if (kept.includes(name)) visit(join(path, name))
      else rmSync(join(path, name), { recursive: true })
    }
  }
  visit(folder)
}
