import type { EventScan, ScannedEvent, ScanPosition } from '../store/event-scan.ts'

/**
 * What one family of reports remembers of the stored events: compact, in memory, and able to take events in any order of
 * time, for a late one may come at any place.
 */
export interface EventFold {
  /** Types whose event_data it reads; of the others it gets id, type, time and source. */
  readonly types: ReadonlySet<string>
  /** Forgets everything: all events come again. */
  reset(): void
  /** Each stored event once, in the order of commit. The event is valid during the call only. */
  add(event: ScannedEvent): void
}

export interface History {
  /**
   * Brings the fold up to everything that was committed before the call, and gives how many events it took. The first
   * time, and when the store says that the position is lost (events were deleted, the journal has expired), all are
   * read; else only what is new. Calls at the same time share one reading.
   */
  refresh(): Promise<Refreshed>
  /** Forgets; the next refresh reads everything. */
  clear(): void
}

export interface Refreshed {
  taken: number
  /** True when everything was read. */
  isCold: boolean
}

/**
 * An incrementally maintained fold over all stored events:
 *
 *     const history = createHistory(scan, fold)
 *     await history.refresh()      // reads a million events, once
 *     await history.refresh()      // reads what came since
 *
 * The state lives in this process alone; after a restart the first refresh is cold again.
 */
export function createHistory(scan: EventScan, fold: EventFold): History {
  let position: ScanPosition | undefined
  let running: Promise<Refreshed> | undefined
  let next: Promise<Refreshed> | undefined

  async function read(): Promise<Refreshed> {
    let taken = 0
    const take = (event: ScannedEvent) => {
      taken++
      fold.add(event)
    }
    const from = position
    // Trouble in the middle leaves the fold with a part: it begins anew.
    position = undefined
    let found = from && (await scan.read(from, fold.types, take))
    const isCold = found === undefined || found === 'lost'
    if (found === undefined || found === 'lost') {
      fold.reset()
      taken = 0
      found = await scan.read(undefined, fold.types, take)
    }
    if (found !== 'lost') position = found
    return { taken, isCold }
  }

  function start(): Promise<Refreshed> {
    const reading = read().finally(() => {
      if (running === reading) running = undefined
    })
    running = reading
    return reading
  }

  return {
    refresh() {
      if (!running) return start()
      // What runs has perhaps passed what was committed just now; whoever waits shares the next.
      next ??= running
        .catch(() => {})
        .then(() => {
          next = undefined
          return start()
        })
      return next
    },
    clear() {
      position = undefined
    },
  }
}
