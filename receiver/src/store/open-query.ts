import { EventError } from '@madsci-events/sdk/event'
import type { ScanProgress } from './event-store.ts'
import type { PackedEvents } from './packed-event.ts'
import type { QueryLane } from './query-lane.ts'
import { chunkLimit } from './query-thread.ts'

/**
 * A query that somebody reads.
 *
 *     idle ──its reader wants more──▶ waiting ──turn──▶ running ──▶ idle … ──▶ done
 */
export class OpenQuery<Command, Rest> {
  readonly number: number
  readonly command: Command
  readonly client: string
  readonly lane: QueryLane
  readonly timeoutMs: number
  state: 'idle' | 'waiting' | 'running' | 'done' = 'idle'
  /** What the last turn left to do. */
  rest: Rest | undefined
  /** Chunks that wait for the reader. */
  readonly arrived: PackedEvents[] = []
  /** What is remembered of it, by thread. */
  readonly threads = new Set<object>()
  error: EventError | undefined
  isEnded = false
  /** When the time limit began for the chunk that is looked for. */
  sinceMs = performance.now()
  idleSinceMs = this.sinceMs
  waitingSinceMs = 0
  /** Of the time since then, in line. */
  waitedMs = 0
  doneMs = 0
  /** Characters that wait for the reader. */
  held = 0
  /** Where its reader is told how far it came. */
  readonly progress: ScanProgress | undefined
  readonly #hasOneLimit: boolean
  #foundEvents = 0
  #foundCharacters = 0
  #wake = () => {}

  constructor(
    number: number,
    command: Command,
    options: {
      client: string
      lane: QueryLane
      timeoutMs: number
      hasOneLimit?: boolean
      progress?: ScanProgress | undefined
    },
  ) {
    const { client, lane, timeoutMs, hasOneLimit = false } = options
    this.number = number
    this.command = command
    this.client = client
    this.lane = lane
    this.timeoutMs = timeoutMs
    this.progress = options.progress
    this.#hasOneLimit = hasOneLimit
  }

  get isWaiting(): boolean {
    return this.state === 'waiting'
  }

  isLate(nowMs: number, graceMs = 0): boolean {
    return this.timeoutMs > 0 && nowMs - this.sinceMs > this.timeoutMs + graceMs
  }

  /** The limit is one of time to find the next chunk: a whole one begins it anew. */
  add(events: PackedEvents, nowMs: number): void {
    this.arrived.push(events)
    if (this.#hasOneLimit) return void this.#wake()
    this.#foundEvents += events.ends.length / 3
    this.#foundCharacters += events.text.length
    if (this.#foundEvents >= chunkLimit.events || this.#foundCharacters >= chunkLimit.characters) {
      this.#foundEvents = 0
      this.#foundCharacters = 0
      this.sinceMs = nowMs
      this.waitedMs = 0
    }
    this.#wake()
  }

  end(): void {
    this.state = 'done'
    this.doneMs = performance.now()
    this.isEnded = true
    this.#wake()
  }

  fail(error: EventError): void {
    this.error ??= error
    this.end()
  }

  /** Of a query that is over its time: one that spent it in line can succeed later. */
  lateError(error: EventError): EventError {
    const isBusy = error.code === 'EVT_QUERY_TIMEOUT' && this.waitedMs > Math.max(10, this.timeoutMs / 2)
    return isBusy ? new EventError('EVT_QUERY_BUSY') : error
  }

  /** Settles with the next chunk, the end or an error. */
  news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
