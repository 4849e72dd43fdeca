import type { Worker } from 'node:worker_threads'
import { EventError } from '@madsci-events/sdk/event'
import type { NewEvent } from '../../document/event-document.ts'
import { startThread } from '../../thread.ts'
import type { Match } from '../alert-store.ts'
import type { WriteOutcome } from '../event-store.ts'
import { isWithin, type Ranges } from '../range.ts'
import { workerUrl } from '../worker-url.ts'
import type { AlertTask } from './alert-task.ts'
import { createCommitter } from './commit.ts'
import type { Synchronous } from './connection.ts'
import { type FileIdentity, findFileTrouble } from './file-identity.ts'
import { type KeepResult, type KeepTask, usualCharacters } from './keep.ts'
import { addRow, createRows, type Rows } from './row.ts'
import type { FromWriter, ToWriter, WriteWorkerData } from './write-worker.ts'

export interface Writer {
  write(events: readonly NewEvent[], matches?: readonly Match[], rest?: Ranges): Promise<WriteOutcome[]>
  keep(task: KeepTask): Promise<KeepResult>
  alert(task: AlertTask): Promise<unknown>
  /** A commit of the size of a usual event: throws EVT_STORE_UNAVAILABLE when such an event would not be stored. */
  probe(): Promise<void>
  /** Why an event would not be stored; undefined once a commit of the size of the one that failed has succeeded. */
  readonly trouble: string | undefined
  /** Commits made so far by the calling thread, and by the other. */
  readonly commits: { readonly here: number; readonly thread: number }
  /** Ends the thread after the writes under way. */
  close(): Promise<void>
}

type Done = Exclude<FromWriter, { failed: string }>

interface Waiting {
  characters: number
  resolve: (done: Done) => void
  reject: (error: EventError) => void
}

// A small commit on a quick disk takes less than waking a thread twice.
const smallRows = 50
const smallCharacters = 128 * 1024
const defaultQuickMs = 1.5
// So often the thread makes a small one all the same: its connection then folds the log into the file, if it has grown.
const commitsBetweenFolds = 256

export interface WriterOptions {
  path: string
  synchronous: Synchronous
  /** As they were when the database was opened. */
  files: FileIdentity
  /** Told why a commit failed. */
  onTrouble?: (reason: string) => void
  /** Mean duration of small commits up to which the caller makes them itself. */
  quickMs?: number
}

/**
 * Writes in a thread of their own, which starts again with the next write should it die. But a small write to a quick
 * disk is committed by the caller's own connection, while the thread has nothing to do:
 *
 *     small, disk quick, thread idle ─▶ here:   one commit, some tenths of a millisecond
 *     else                           ─▶ thread: in the order of the calls
 *
 * Quick means: the moving average of small commits is below 1.5 ms. One that hangs takes the average up with it, and
 * the thread has the work until the disk is quick again. What fails here, the thread tries again.
 */
export function createWriter(options: WriterOptions): Writer {
  const { path, synchronous, files, quickMs = defaultQuickMs, onTrouble = () => {} } = options
  const here = createCommitter({ path, synchronous, files, isBrief: true })
  const waiting = new Map<number, Waiting>()
  const commits = { here: 0, thread: 0 }
  let worker: Worker | undefined
  let lastWrite = 0
  let trouble: string | undefined
  /** Of the commit that failed, at most those of a usual event: a smaller one that succeeds proves nothing. */
  let troubleCharacters = 0
  let isClosed = false
  let wakeClose = () => {}
  // Quickness must be seen before it is relied on.
  let averageMs = 4 * defaultQuickMs
  let commitsSinceFold = 0

  function start(): Worker {
    const data: WriteWorkerData = { path, synchronous, files }
    const started = startThread(workerUrl('./sqlite/write-worker'), { workerData: data, maxHeapMb: 256 })
    started.unref()
    started.on('message', (message: FromWriter) => {
      const call = waiting.get(message.write)
      waiting.delete(message.write)
      if ('failed' in message) {
        trouble = message.failed
        onTrouble(trouble)
        troubleCharacters = Math.min(usualCharacters, Math.max(troubleCharacters, call?.characters ?? 0))
        call?.reject(new EventError('EVT_STORE_UNAVAILABLE', message.failed))
      } else {
        if ((call?.characters ?? 0) >= troubleCharacters) {
          trouble = undefined
          troubleCharacters = 0
        }
        call?.resolve(message)
      }
      if (waiting.size === 0) wakeClose()
    })
    const stop = (cause?: unknown) => {
      if (worker !== started) return
      worker = undefined
      trouble = 'the thread that writes has died'
      for (const call of waiting.values())
        call.reject(new EventError('EVT_STORE_UNAVAILABLE', trouble, { cause }))
      waiting.clear()
      wakeClose()
    }
    started.on('error', stop)
    started.on('exit', () => stop())
    return started
  }

  function send(
    work: { rows: Rows } | { task: KeepTask } | { alert: AlertTask },
    characters = 0,
  ): Promise<Done> {
    if (isClosed) return Promise.reject(new EventError('EVT_CLOSING'))
    worker ??= start()
    const sending = worker
    const write = ++lastWrite
    return new Promise((resolve, reject) => {
      waiting.set(write, { characters, resolve, reject })
      const message: ToWriter = { write, ...work }
      sending.postMessage(message)
    })
  }

  function store(rows: Rows): Uint8Array | Promise<Uint8Array> {
    const characters = charactersOf(rows)
    const isSmall = rows.ids.length <= smallRows && characters <= smallCharacters
    const isMine =
      isSmall &&
      averageMs < quickMs &&
      waiting.size === 0 &&
      trouble === undefined &&
      !isClosed &&
      commitsSinceFold < commitsBetweenFolds
    if (isMine) {
      const startedMs = performance.now()
      try {
        const isStored = here.store(rows)
        commits.here++
        commitsSinceFold++
        return isStored
      } catch {
        // The thread finds out whether it is the disk.
      } finally {
        note(performance.now() - startedMs)
      }
    }
    return finish(send({ rows }, characters), isSmall)
  }

  async function finish(sending: Promise<Done>, isSmall: boolean): Promise<Uint8Array> {
    const done = await sending
    if (!('isStored' in done)) throw new EventError('EVT_INTERNAL')
    commits.thread++
    commitsSinceFold = 0
    if (isSmall) note(done.tookMs)
    return done.isStored
  }

  function note(tookMs: number): void {
    averageMs += (tookMs - averageMs) / 8
  }

  return {
    write(events, matches = [], rest = []) {
      const rows = createRows()
      const outcomes: WriteOutcome[] = new Array(events.length)
      for (let i = 0; i < events.length; i++) {
        const refused = addRow(rows, events[i]!, rest.length > 0 && isWithin(rest, i))
        if (refused !== undefined) outcomes[i] = { refused }
      }
      if (matches.length > 0) rows.intents = toIntents(matches, outcomes)
      return settle(outcomes, store(rows))
    },
    async probe() {
      await send({ task: { kind: 'probe' } }, usualCharacters)
    },
    async keep(task) {
      const done = await send({ task })
      return 'kept' in done ? done.kept : { changed: 0, next: undefined }
    },
    async alert(task) {
      const done = await send({ alert: task })
      return 'answer' in done ? done.answer : undefined
    },
    get trouble() {
      return trouble ?? findFileTrouble(files)
    },
    commits,
    async close() {
      // Whichever connection is open copies the log, which nobody finds by its name any more, into the database file.
      const isCut = findFileTrouble(files) !== undefined
      if (isCut && worker) await send({ task: { kind: 'probe' } }).catch(() => {})
      isClosed = true
      if (waiting.size > 0)
        await new Promise<void>((resolve) => {
          wakeClose = resolve
        })
      if (isCut) here.rescue()
      here.close()
      const closing = worker
      worker = undefined
      await closing?.terminate()
    },
  }
}

/** Neither events nor rows are in sight here: while the thread commits, this one need not hold them. */
async function settle(
  outcomes: WriteOutcome[],
  storing: Uint8Array | Promise<Uint8Array>,
): Promise<WriteOutcome[]> {
  const isStored = storing instanceof Promise ? await storing : storing
  let row = 0
  for (let i = 0; i < outcomes.length; i++) outcomes[i] ??= isStored[row++] === 1 ? 'stored' : 'duplicate'
  return outcomes
}

function charactersOf({ documents, exacts }: Rows): number {
  let count = 0
  for (let i = 0; i < documents.length; i++) count += documents[i]!.length + (exacts[i]?.length ?? 0)
  return count
}

/** Places among the events → places among the rows: refused events have none. */
function toIntents(
  matches: readonly Match[],
  outcomes: readonly (WriteOutcome | undefined)[],
): Rows['intents'] {
  const rowOf: number[] = []
  let row = 0
  for (const refused of outcomes) rowOf.push(refused === undefined ? row++ : -1)
  const moved = matches.map((match) => ({
    ...match,
    positions: match.positions.map((position) => rowOf[position]!).filter((place) => place >= 0),
  }))
  return { atMs: Date.now(), matches: moved }
}
