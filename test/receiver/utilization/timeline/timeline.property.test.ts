import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRun } from '../../../../receiver/src/utilization/timeline/entity.ts'
import { createTimelineFold, type TimelineFold } from '../../../../receiver/src/utilization/timeline/fold.ts'
import { intervalsOf, totalsOf, type Window } from '../../../../receiver/src/utilization/timeline/interval.ts'
import { historyArbitrary, historyStart, toTimelineEvent } from '../../../support/timeline-history.ts'
import { type PlainEvent, plainTimeline } from '../../../support/timeline-reference.ts'

const minutes = 60_000_000
const windows: Window[] = [
  { start: historyStart - 5 * minutes, end: historyStart + 60 * minutes },
  { start: historyStart + 10 * minutes, end: historyStart + 30 * minutes },
  { start: historyStart + 7 * minutes + 1, end: historyStart + 7 * minutes + 2 },
]

/** Adds everything; 'beyond' is answered as the receiver does it. */
function fill(fold: TimelineFold, events: readonly PlainEvent[]): void {
  for (const event of events) fold.add(toTimelineEvent(event))
}

function settle(fold: TimelineFold, events: readonly PlainEvent[]): void {
  if (fold.settle() === 'settled') return
  fold.reset({ keepsAll: true })
  fill(fold, events)
  expect(fold.settle()).toBe('settled')
}

function shown(fold: TimelineFold, window: Window) {
  const found = new Map<string, object[]>()
  for (const [key, entity] of fold.history.entities) {
    const list = intervalsOf(entity.last, window).map(({ state, cause, start, end, begunBy, endedBy }) => ({
      state,
      cause,
      start,
      end,
      begunBy,
      endedBy,
    }))
    if (list.length > 0) found.set(key, list)
  }
  return Object.fromEntries([...found].sort())
}

/** All that the fold knows, but for its own bookkeeping. */
function whole(fold: TimelineFold) {
  const entities = [...fold.history.entities.values()].map(({ born, kept, ...rest }) => rest)
  return {
    entities: entities.sort((a, b) => (`${a.kind}:${a.id}` < `${b.kind}:${b.id}` ? -1 : 1)),
    notices: fold.history.notices,
  }
}

describe('the exact engine', () => {
  it('gives what the plain reference gives, for every window', () => {
    fc.assert(
      fc.property(historyArbitrary, (events) => {
        const fold = createTimelineFold()
        fill(fold, events)
        settle(fold, events)
        for (const window of windows) {
          const { intervals, outcomes } = plainTimeline(events, window)
          expect(shown(fold, window)).toEqual(Object.fromEntries([...intervals].sort()))
          for (const [key, outcome] of outcomes) {
            const entity = fold.history.entities.get(key)!
            expect(isRun(entity) && entity.outcome, key).toBe(outcome)
          }
        }
      }),
      { numRuns: 1500 },
    )
  })

  it('a node does not run what was over before it was named', () => {
    const [node_id, action_id] = ['01HF7YATZA0000000000000000', '01HF7YAZVJ0000000000000000']
    const at = historyStart
    const event = (id: string, type: string, data: PlainEvent['data']): PlainEvent => ({
      id,
      type,
      at,
      source: {},
      data,
    })
    const events = [
      event('1', 'node_status_update', { node_id, busy: false, running_actions: [action_id] }),
      event('2', 'action_failed', { action_id }),
      event('3', 'action_start', { action_id, node_id }),
    ]
    const fold = createTimelineFold()
    fill(fold, events)
    settle(fold, events)
    const [window] = windows
    const { intervals } = plainTimeline(events, window!)
    expect(shown(fold, window!)).toEqual(Object.fromEntries([...intervals].sort()))
    expect(intervals.get(`node:${node_id}`)!.map(({ state }) => state)).toEqual(['unknown', 'idle'])
  })

  it('conserves: busy + idle + error + down + unknown is the wall time, and intervals leave no gap in a thing that is always there', () => {
    fc.assert(
      fc.property(historyArbitrary, (events) => {
        const fold = createTimelineFold()
        fill(fold, events)
        settle(fold, events)
        for (const window of windows)
          for (const entity of fold.history.entities.values()) {
            const intervals = intervalsOf(entity.last, window)
            const { busy, idle, error, down, unknown, wall } = totalsOf(intervals)
            expect(busy + idle + error + down + unknown).toBe(wall)
            expect(Number.isSafeInteger(wall)).toBe(true)
            if (isRun(entity)) continue
            expect(wall).toBe(window.end - window.start)
            expect(intervals[0]!.start).toBe(window.start)
            intervals.forEach((one, index) => {
              expect(one.end).toBe(intervals[index + 1]?.start ?? window.end)
            })
          }
      }),
      { numRuns: 500 },
    )
  })

  it('gives the same whatever the order of arrival, at once or little by little, with duplicates', () => {
    fc.assert(
      fc.property(
        historyArbitrary,
        fc.infiniteStream(fc.integer({ min: 0, max: 1_000_000 })),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 }),
        fc.constantFrom(
          { heldSignals: 1, rememberedSignals: 3, epochSignals: 1 },
          { heldSignals: 4, rememberedSignals: 10, epochSignals: 2 },
          { epochSignals: 3 },
          {},
        ),
        (events, keys, sizes, options) => {
          const cold = createTimelineFold()
          fill(cold, events)
          settle(cold, events)
          const shuffled = events
            .map((event) => ({ event, key: keys.next().value }))
            .sort((a, b) => a.key - b.key)
            .map(({ event }) => event)
          const warm = createTimelineFold(options)
          const arrived: PlainEvent[] = []
          for (let at = 0, turn = 0; at < shuffled.length; turn++) {
            const part = shuffled.slice(at, at + sizes[turn % sizes.length]!)
            at += part.length
            arrived.push(...part)
            fill(warm, part)
            if (turn % 3 === 0) fill(warm, part.slice(0, 1))
            settle(warm, arrived)
          }
          expect(whole(warm)).toEqual(whole(cold))
        },
      ),
      { numRuns: 1000 },
    )
  })
})
