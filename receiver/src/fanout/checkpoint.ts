import type { NoteStore } from '../store/event-store.ts'

export interface CheckpointOptions {
  /** Of the destination. */
  name: string
  notes: NoteStore
  /** This receiver, in this life. */
  holder: string
  /** Other receivers may use the same database. */
  isShared: boolean
  /** So long a silent holder keeps the checkpoint. */
  leaseMs: number
  /** Where a destination without a checkpoint begins, and one whose checkpoint cannot be read. */
  begin: () => Promise<string>
  /** Called before a checkpoint that cannot be read is given up. */
  onDamage: (text: string) => void
}

/**
 * Where a destination stands, in the database, and which receiver forwards to it:
 *
 *     note `fanout:NAME`  {cursor, holder, caughtUpMs}  version 1, 2, 3 …
 *
 * Promises:
 *  1. A cursor that was saved is there after a kill.
 *  2. Of several receivers one holds the checkpoint; another takes it when its version has stood still for the lease, by its own
 *     clock alone, or when it was given back. Clocks of two machines are never compared.
 *  3. Whoever lost the checkpoint cannot save: each write names the version that it follows.
 */
export interface Checkpoint {
  /** Valid while held. */
  readonly cursor: string
  /** When everything was sent for the last time, ms since 1970. */
  readonly caughtUpMs: number
  /** True while nobody else can have it. */
  readonly isHeld: boolean
  /** True when it is held now. Throws what the store throws. */
  acquire(): Promise<boolean>
  /** Without saving it: reading again from an older checkpoint does no harm. */
  move(cursor: string, caughtUpMs?: number): void
  /** Keeps the checkpoint; also saves where it was moved to. Throws what the store throws. */
  beat(): Promise<void>
  /** False, and nothing is saved, when another receiver has the checkpoint. Throws what the store throws. */
  save(cursor: string, caughtUpMs?: number): Promise<boolean>
  /** Gives it back; never throws. */
  release(): Promise<void>
}

interface Stand {
  cursor: string
  holder: string
  caughtUpMs: number
}

export function createCheckpoint(options: CheckpointOptions): Checkpoint {
  const { notes, holder, isShared, leaseMs } = options
  const noteName = `fanout:${options.name}`
  let stand: Stand = { cursor: '', holder: '', caughtUpMs: Date.now() }
  let version = 0
  let heldSinceMs: number | undefined
  let savedCursor = ''
  let seen: { version: number; sinceMs: number } | undefined
  let tail: Promise<unknown> = Promise.resolve()

  /** One write at a time: each follows the version of the last. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = tail.then(work)
    tail = next.catch(() => {})
    return next
  }

  async function write(next: Stand): Promise<boolean> {
    const startedMs = performance.now()
    let isWritten = await notes.write(noteName, JSON.stringify(next), version)
    if (!isWritten && heldSinceMs !== undefined) {
      // The answer to our own last write may have been lost.
      const note = await notes.read(noteName)
      if (note && toStand(note.text)?.holder === holder) {
        version = note.version
        isWritten = await notes.write(noteName, JSON.stringify(next), version)
      }
    }
    if (!isWritten) {
      heldSinceMs = undefined
      return false
    }
    version++
    stand = next
    savedCursor = next.cursor
    heldSinceMs = startedMs
    return true
  }

  async function acquire(): Promise<boolean> {
    const note = await notes.read(noteName).catch((error) => {
      // While the database is away nobody can move on: that is no silence of the holder.
      seen = undefined
      throw error
    })
    heldSinceMs = undefined
    if (!note) {
      version = 0
      return write({ cursor: await options.begin(), holder, caughtUpMs: Date.now() })
    }
    version = note.version
    const found = toStand(note.text)
    if (!found) {
      options.onDamage(note.text)
      return write({ cursor: await options.begin(), holder, caughtUpMs: Date.now() })
    }
    const nowMs = performance.now()
    if (isShared && found.holder !== holder && found.holder !== '') {
      if (seen?.version !== version) seen = { version, sinceMs: nowMs }
      if (nowMs - seen.sinceMs < leaseMs) return false
    }
    seen = undefined
    return write({ ...found, holder })
  }

  return {
    get cursor() {
      return stand.cursor
    },
    get caughtUpMs() {
      return stand.caughtUpMs
    },
    get isHeld() {
      if (heldSinceMs === undefined) return false
      return !isShared || performance.now() - heldSinceMs < leaseMs * 0.75
    },
    acquire: () => inTurn(acquire),
    move(cursor, caughtUpMs = stand.caughtUpMs) {
      stand = { ...stand, cursor, caughtUpMs }
    },
    beat: () =>
      inTurn(async () => {
        if (heldSinceMs !== undefined && (isShared || stand.cursor !== savedCursor))
          await write({ ...stand, holder })
      }),
    save: (cursor, caughtUpMs) =>
      inTurn(async () => {
        if (heldSinceMs === undefined) return false
        return write({ cursor, holder, caughtUpMs: caughtUpMs ?? stand.caughtUpMs })
      }),
    release: () =>
      inTurn(async () => {
        if (heldSinceMs !== undefined) await write({ ...stand, holder: '' })
        heldSinceMs = undefined
      }).catch(() => {}),
  }
}

function toStand(text: string): Stand | undefined {
  try {
    const { cursor, holder, caughtUpMs } = JSON.parse(text)
    if (typeof cursor !== 'string' || typeof holder !== 'string' || typeof caughtUpMs !== 'number')
      return undefined
    return { cursor, holder, caughtUpMs }
  } catch {
    return undefined
  }
}
