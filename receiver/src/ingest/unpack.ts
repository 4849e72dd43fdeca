import type { Worker } from 'node:worker_threads'
import { EventError } from '@madsci-events/sdk/event'
import type { DocumentWriter } from '../document/document-writer.ts'
import { DocumentRun, EventDocument, type NewEvent } from '../document/event-document.ts'
import type { DecodedLogs } from '../otlp/decoded.ts'
import type { Identify } from '../otlp/record-id.ts'
import type { OtlpEncoding } from '../otlp/reply.ts'
import { startThread } from '../thread.ts'
import { toRefusal } from './ingest.ts'
import { isSameContent } from './same-content.ts'
import type {
  LogsLimits,
  UnpackAnswer,
  UnpackedPart,
  UnpackFailure,
  UnpackTask,
  UnpackWorkerData,
  Watch,
} from './unpack-task.ts'

export interface UnpackerOptions {
  /** The store's, as is the module that encodes. */
  documents: DocumentWriter
  encoderUrl: URL
  managerId: string
  naiveTimezone?: string | undefined
  /** Undefined: nobody looks at the events. */
  watch?: Watch | undefined
  /** Of the thread, MB of 2^20 bytes; 384 if not given. */
  maxHeapMb?: number
  /** How long the thread is kept with nothing to do; 30 s if not given. */
  idleMs?: number
}

/** An event that came by REST. */
export interface SentEvent {
  event: NewEvent
  /** What REST answers once it is stored. */
  json: Uint8Array
  /** The sender said when it was. */
  isTimed: boolean
}

/**
 * Decodes large bodies in a thread of its own, one at a time, from their bytes to the documents of the store:
 *
 *     bytes ═▶ thread: decode ▶ check ▶ encode ═▶ documents ▶ accept
 *
 * Promises (each has a test of the same name):
 *  1. What comes of a body is what comes of it on the calling thread.
 *  2. A body that needs more memory than one request may take is refused alone, with EVT_TOO_LARGE.
 *  3. The thread goes when nothing was large for a while.
 */
export interface Unpacker {
  /** Takes the memory of `bytes` away. Throws what the decoders throw. */
  logs(
    bytes: Uint8Array,
    encoding: OtlpEncoding,
    limits: LogsLimits,
    identify?: Identify,
  ): Promise<DecodedLogs<NewEvent>>
  /** Takes the memory of `bytes` away. Throws for a body that is no JSON; an event that cannot be kept is `refused`. */
  event(bytes: Uint8Array, contentType: string | undefined): Promise<SentEvent | { refused: EventError }>
  /** See `isSameContent`. */
  isSame(storedJson: string, { json, isTimed }: Pick<SentEvent, 'json' | 'isTimed'>): Promise<boolean>
  readonly isRunning: boolean
  close(): Promise<void>
}

// A body of JSON takes the thread that long at most, where it holds what costs most: some tens of milliseconds.
const largeBytes: { [encoding in OtlpEncoding]: number } = { json: 512 * 1024, protobuf: 1024 * 1024 }

/** Whether a body is decoded in another thread. */
export const isLarge = (bytes: Uint8Array, encoding: OtlpEncoding) => bytes.length > largeBytes[encoding]

interface Job {
  task: UnpackTask
  onPart: (part: UnpackedPart) => void
  identify: Identify | undefined
  resolve: (answer: UnpackAnswer) => void
  reject: (error: EventError) => void
}

export function createUnpacker(options: UnpackerOptions): Unpacker {
  const { documents, encoderUrl, managerId, naiveTimezone, watch, maxHeapMb = 384, idleMs = 30_000 } = options
  const workerData: UnpackWorkerData = { encoderHref: encoderUrl.href, managerId, naiveTimezone, watch }
  const line: Job[] = []
  let running: Job | undefined
  let worker: Worker | undefined
  let idle: NodeJS.Timeout | undefined

  function start(): Worker {
    const started = startThread(workerFile, { workerData, maxHeapMb })
    started.on('message', (message: UnpackAnswer) => {
      if (message.kind === 'part') running?.onPart(message.part)
      else if (message.kind === 'digest') {
        const identity = running!.identify!(message.digest)
        started.postMessage({ kind: 'identity', identity } satisfies UnpackTask)
      } else finish((job) => job.resolve(message))
    })
    // Only the body under way can be the reason: those in line are for the next thread.
    const stop = (cause?: unknown) => {
      if (worker !== started) return
      worker = undefined
      const isMemory = (cause as NodeJS.ErrnoException | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
      finish((job) =>
        job.reject(
          isMemory
            ? new EventError('EVT_TOO_LARGE', 'The body needs more memory than one request may take', {
                cause,
              })
            : new EventError('EVT_INTERNAL', 'The thread that decodes large bodies has died', { cause }),
        ),
      )
    }
    started.on('error', stop)
    started.on('exit', () => stop())
    return started
  }

  function finish(settle: (job: Job) => void): void {
    const job = running
    running = undefined
    if (job) settle(job)
    next()
  }

  function next(): void {
    clearTimeout(idle)
    if (running) return
    running = line.shift()
    if (running) {
      worker ??= start()
      worker.ref()
      const { task } = running
      worker.postMessage(task, 'bytes' in task ? [movable(task)] : [])
    } else if (worker) {
      worker.unref()
      idle = setTimeout(() => void stopWorker(), idleMs)
      idle.unref()
    }
  }

  async function stopWorker(): Promise<void> {
    const stopping = worker
    worker = undefined
    await stopping?.terminate()
  }

  function run<Kind extends UnpackAnswer['kind']>(
    task: UnpackTask,
    kinds: readonly Kind[],
    { onPart = () => {}, identify }: Partial<Pick<Job, 'onPart' | 'identify'>> = {},
  ): Promise<Extract<UnpackAnswer, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      line.push({
        task,
        onPart,
        identify,
        resolve(answer) {
          if (answer.kind === 'failed') reject(toError(answer.failure))
          else if ((kinds as readonly string[]).includes(answer.kind))
            resolve(answer as Extract<UnpackAnswer, { kind: Kind }>)
        },
        reject,
      })
      next()
    })
  }

  return {
    async logs(bytes, encoding, limits, identify) {
      const events: NewEvent[] = []
      const { kind: _, ...decoded } = await run(
        { kind: 'logs', bytes, encoding, limits, isIdentified: identify !== undefined },
        ['logs'],
        { onPart: (part) => addEvents(events, part, documents), identify },
      )
      return { events, ...decoded }
    },
    async event(bytes, contentType) {
      const events: NewEvent[] = []
      const answer = await run({ kind: 'event', bytes, contentType }, ['event', 'invalid', 'refused'], {
        onPart: (part) => addEvents(events, part, documents),
      })
      if (answer.kind === 'invalid') return { refused: toError(answer.failure) }
      if (answer.kind === 'refused') return { refused: toRefusal(answer.reason) }
      return { event: events[0]!, json: answer.json, isTimed: answer.isTimed }
    },
    async isSame(storedJson, { json, isTimed }) {
      if (!isLarge(json, 'json')) return isSameContent(storedJson, Buffer.from(json).toString(), isTimed)
      const task = { kind: 'compare', storedJson, sentJson: json, isTimed } as const
      return (await run(task, ['compared'])).isSame
    },
    get isRunning() {
      return worker !== undefined
    },
    async close() {
      clearTimeout(idle)
      await stopWorker()
    },
  }
}

const workerFile = new URL(
  `./unpack-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
  import.meta.url,
)

// Others may look at what lies beside a body in memory that is no larger.
const sharedMemoryBytes = 8 * 1024 * 1024

/** Memory that can be given away with the bytes in it. */
function movable(task: { bytes: Uint8Array }): ArrayBuffer {
  const { buffer, byteLength } = task.bytes
  if (byteLength !== buffer.byteLength && byteLength < sharedMemoryBytes)
    task.bytes = Uint8Array.from(task.bytes)
  return task.bytes.buffer as ArrayBuffer
}

const none: readonly object[] = []

function addEvents(events: NewEvent[], part: UnpackedPart, documents: DocumentWriter): void {
  const { bytes, ids, types, levels, alerts, times, ends, exactEnds, archives, sightings } = part
  const run = new DocumentRun(documents)
  run.fill(Buffer.from(bytes.buffer), ids.length)
  for (let i = 0; i < ids.length; i++) {
    const end = ends[i]!
    const exactEnd = exactEnds[i]!
    events.push(
      new EventDocument(run, i === 0 ? 0 : exactEnds[i - 1]!, end, {
        event_id: ids[i]!,
        event_type: types[i]!,
        log_level: levels[i]!,
        alert: alerts[i]!,
        time: times[i]!,
        archive: archives.get(i),
        exactEnd: exactEnd === end ? undefined : exactEnd,
        sightings: sightings && (sightings.get(i) ?? none),
      }),
    )
  }
}

const toError = ({ code, message, detail }: UnpackFailure) => new EventError(code, message, { detail })
