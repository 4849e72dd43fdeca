import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Run } from '../otlp/request.ts'
import {
  claimHomes,
  createHome,
  endpointOf,
  leaveHome,
  leaveStream,
  openStream,
  segmentName,
  touch,
} from './folder.ts'
import { adoptOrphans, type Orphans } from './orphan.ts'
import { createRefusedFolder, type RefusedFolder } from './refused.ts'
import { createFileStore, type Store } from './store.ts'

/** The files of one client: where they are, whether they can be written. */
export interface Home {
  /** Why no file could be written last. */
  readonly trouble: Error | undefined
  /** A new file. Throws when there can be none now. */
  createStore(): Store
  /** Notes that writing failed. */
  fail(error: unknown): void
  heal(): void
  /** Says that the owner lives; false when another process has taken the folder over. */
  beat(): boolean
  /** Folders of owners that are gone; they are ours now. */
  claim(): string[]
  /** The same of programs with other names that seem never to come back. */
  adopt(): Orphans
  /** Keeps what the endpoint refused; gives the folder. Throws when that cannot be. */
  setAside(runs: readonly Run[]): string
  /** Leaves the folder to the next, or removes it when it is empty. */
  leave(): void
}

export interface HomeOptions {
  spoolDir: string
  name: string
  url: string
  isSynced: boolean
  maxRefusedBytes: number
}

export function createHomeFolder({ spoolDir, name, url, isSynced, maxRefusedBytes }: HomeOptions): Home {
  let stream: string | undefined
  let home: string | undefined
  let refused: RefusedFolder | undefined
  let number = 0
  let trouble: Error | undefined
  const open = () => (stream ??= openStream(spoolDir, name, url, { isSynced }))
  const openHome = (): string => {
    try {
      return createHome(open(), { isSynced })
    } catch (error) {
      // The one who left last removed the folder.
      if ((error as { code?: string }).code !== 'ENOENT') throw error
      stream = undefined
      return createHome(open(), { isSynced })
    }
  }
  return {
    get trouble() {
      return trouble
    },
    createStore() {
      home ??= openHome()
      return createFileStore(join(home, segmentName(++number)), { isSynced })
    },
    fail(error) {
      trouble = error instanceof Error ? error : new Error(String(error))
      // The folder itself may be gone.
      if ((error as { code?: string }).code === 'ENOENT') stream = home = undefined
    },
    heal() {
      trouble = undefined
    },
    beat() {
      if (home === undefined || touch(home)) return true
      home = undefined
      return false
    },
    claim() {
      // Whoever left last has removed the folder: nobody has left anything in it.
      if (stream !== undefined && !existsSync(stream)) return []
      return claimHomes(open())
    },
    adopt() {
      return adoptOrphans(spoolDir, open(), endpointOf(url))
    },
    setAside(runs) {
      refused ??= createRefusedFolder(open(), { maxBytes: maxRefusedBytes, isSynced })
      refused.keep(runs)
      return refused.path
    },
    leave() {
      refused?.close()
      if (home !== undefined) leaveHome(home)
      home = undefined
      if (stream !== undefined) leaveStream(stream)
    },
  }
}
