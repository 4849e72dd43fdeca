import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { isCanary } from '../canary.ts'
import type { SummaryQuery } from '../event-store.ts'
import { facetNames, type SummaryOptions, type SummaryPart } from '../summary.ts'
import { toHighestText } from '../time-text.ts'
import { sumUp } from './answer.ts'
import { Columns } from './columns.ts'
import { compareInstants, type Instant, toInstant, toInstantText } from './instant.ts'
import type { Row } from './row.ts'
import { toSelection } from './select.ts'
import { type ColumnSource, NotHeld, type SourceEvent } from './source.ts'
import type { ColumnState } from './state.ts'

/** The sum of all events of a query, or of those that are later than `upTo`, a text. */
export interface ColumnAnswer {
  part: SummaryPart
  upTo: string | undefined
}

export type ColumnQuery = Pick<
  SummaryQuery,
  'minLevel' | 'startTime' | 'endTime' | 'selector' | 'archived' | 'canaries'
>

/**
 * Columns of all events that are not archived, as far as they fit:
 *
 *     older ◀── readOlder ──┤ position ├── later: complete, and followed by readNew ──▶ now
 *
 * What was archived takes the position back to it; what cannot be told makes everything begin anew.
 */
export interface ColumnBuilder {
  /** A little of the work. */
  step(): Promise<{ isDone: boolean; isBusy: boolean }>
  /** Undefined: they cannot tell, or not soon. */
  answer(query: ColumnQuery, options: SummaryOptions): Promise<ColumnAnswer | undefined>
  /** Events up to this time were archived. */
  dropArchived(time: string): void
  readonly state: ColumnState
}

const eventTypeOf = ({ evidence }: Row) => String(evidence[facetNames.indexOf('type')]!.values[0])

/** Later than all texts of a time. */
const latest = '\uffff'
const catchUpMs = 250
const pendingPauseMs = 5
const maxTableBytes = 128 * 2 ** 20
/** After what others stored it begins anew, and not more often. */
const leastRebuildMs = 3_600_000

export function createColumnBuilder(source: ColumnSource, maxBytes: number): ColumnBuilder {
  let columns = new Columns()
  let hasBegun = false
  /** Columns are complete behind it. */
  let position = latest
  let isWhole = false
  /** The reading of older ones goes on from `position`, and not from where it stopped. */
  let isMoved = false
  /** Ids with the time of the position, which came along the commits. */
  let tied = new Set<string>()
  /** Why nothing is held any more. */
  let given: string | undefined
  let restUntilMs = 0
  let begunMs = 0
  let newCount = 0

  function forget(): void {
    columns = new Columns()
    hasBegun = false
    position = latest
    isWhole = false
    isMoved = false
    tied = new Set()
  }

  async function begin(): Promise<void> {
    forget()
    begunMs = performance.now()
    await source.begin()
    hasBegun = true
  }

  function takeNew({ id, time, row }: SourceEvent): void {
    newCount++
    if (!row || isCanary(eventTypeOf(row), id)) return
    if (!isWhole && time < position) return
    if (!isWhole && time === position) tied.add(id)
    columns.add(row, 'commits')
  }

  function takeOlder({ id, time, row }: SourceEvent): void {
    const isTied = time === position && tied.has(id)
    if (time !== position) {
      position = time
      tied.clear()
    }
    if (row && !isTied && !isCanary(eventTypeOf(row), id)) columns.add(row, 'past')
  }

  function dropUpTo(instant: Instant, time: string): void {
    if (!isWhole && time < position) return
    if (columns.sumOf('oddTimes') > 0) {
      forget()
      return
    }
    columns.dropUpTo(instant)
    position = time
    isWhole = false
    isMoved = true
    tied.clear()
  }

  function dropArchived(time: string): void {
    const instant = toInstant(time)
    if (instant) dropUpTo(instant, toHighestText(toInstantText(instant)))
    else forget()
  }

  /** 1: there is no room. Tables lie in the heap of the thread, which has a bound of its own. */
  const fullness = () => Math.max(columns.bytes / maxBytes, columns.tableBytes / maxTableBytes)

  // Room for what comes, too: what is dropped for it is not read again.
  const isFull = () => fullness() > 0.9

  /** The oldest rows go for the newest. */
  function keepWithinMemory(): void {
    while (fullness() > 1) {
      const [oldest] = columns.chunks.toSorted((a, b) => compareInstants(a.newest, b.newest))
      if (!oldest || columns.chunks.length < 2 || columns.sumOf('oddTimes') > 0) {
        forget()
        given = 'summary_memory_mb has no room for the newest events'
        return
      }
      dropUpTo(oldest.newest, toInstantText(oldest.newest))
      isWhole = false
    }
  }

  async function readNew(): Promise<'more' | 'all' | 'lost'> {
    const archived = await source.readArchived()
    if (archived !== '') dropArchived(archived)
    if (!hasBegun) await begin()
    const found = await source.readNew(takeNew)
    if (found === 'lost') forget()
    else keepWithinMemory()
    return found
  }

  /** Takes all that is committed. False when that takes too long. */
  async function catchUp(untilMs: number): Promise<boolean> {
    let pending = await source.readPending()
    for (;;) {
      const found = await readNew()
      if (found === 'lost' || !hasBegun || given !== undefined) return false
      if (found === 'all' && pending.length === 0) return true
      if (performance.now() > untilMs) return false
      if (found === 'more') await setImmediate()
      else {
        await sleep(pendingPauseMs)
        const still = new Set(await source.readPending())
        pending = pending.filter((one) => still.has(one))
      }
    }
  }

  function completeSinceMs(): number | undefined {
    if (isWhole) return Number.NEGATIVE_INFINITY
    return hasBegun && position !== latest ? toInstant(position)?.ms : undefined
  }

  /** True when there is nothing to do at the moment. */
  async function build(): Promise<boolean> {
    const found = await readNew()
    if (found !== 'all' || given !== undefined) return found === 'all'
    if (await source.isStrange()) {
      forget()
      restUntilMs = begunMs + leastRebuildMs
      return true
    }
    if (isWhole || isFull()) return true
    const from = isMoved ? position : undefined
    isMoved = false
    if ((await source.readOlder(takeOlder, from)) === 'all') {
      isWhole = true
      tied.clear()
    }
    return isWhole
  }

  async function guarded<T>(run: () => Promise<T>, other: T): Promise<T> {
    if (given !== undefined || performance.now() < restUntilMs) return other
    try {
      return await run()
    } catch (error) {
      // After trouble nothing is known of what was taken.
      forget()
      if (!(error instanceof NotHeld)) throw error
      given = error.message || 'an event cannot be held'
      return other
    }
  }

  return {
    step: () =>
      guarded(
        async () => {
          const before = newCount
          const isDone = await build()
          return { isDone, isBusy: newCount > before }
        },
        { isDone: true, isBusy: false },
      ),
    answer: (query, options) =>
      guarded(async () => {
        if (query.archived !== 'exclude' || query.canaries === 'include' || query.selector?.namesCanary)
          return undefined
        if (!(await catchUp(performance.now() + catchUpMs))) return undefined
        const after = isWhole ? undefined : toInstant(position)
        if (!isWhole && !after) return undefined
        const selection = toSelection(columns, query, after)
        const { selector: _, minLevel: __, ...window } = query
        const scanned = selection && toSelection(columns, window, after)
        if (!selection || !scanned) return undefined
        const start = query.startTime === undefined ? undefined : toInstant(query.startTime)
        const isInside = after !== undefined && start !== undefined && compareInstants(start, after) > 0
        const part = sumUp(columns, { selection, scanned }, options)
        return {
          part: { ...part, hasAllNames: isWhole },
          upTo: after === undefined || isInside ? undefined : toHighestText(toInstantText(after)),
        }
      }, undefined),
    dropArchived,
    get state(): ColumnState {
      const { rows: events, bytes } = columns
      const held = { events, bytes, completeSinceMs: completeSinceMs() }
      if (given !== undefined) return { phase: 'given_up', reason: given, ...held }
      if (performance.now() < restUntilMs)
        return { phase: 'paused', reason: 'another program stores events in the database', ...held }
      return { phase: hasBegun && (isWhole || isFull()) ? 'ready' : 'building', ...held }
    },
  }
}
