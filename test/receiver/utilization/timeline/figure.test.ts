import { createZoneConverter, fromTimestamp } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failuresOf, spreadOf } from '../../../../receiver/src/utilization/timeline/figure.ts'
import { createTimelineFold } from '../../../../receiver/src/utilization/timeline/fold.ts'
import { intervalsOf, totalsOf } from '../../../../receiver/src/utilization/timeline/interval.ts'
import { kinds } from '../../../../receiver/src/utilization/timeline/kind.ts'
import { bucketsOf, groupings, summarize } from '../../../../receiver/src/utilization/timeline/summary.ts'
import { findWaits } from '../../../../receiver/src/utilization/timeline/wait.ts'
import { buckets, createZone } from '../../../../receiver/src/utilization/timeline/zone.ts'
import { historyArbitrary, historyStart, toTimelineEvent } from '../../../support/timeline-history.ts'

const hour = 3_600_000_000
const filter = { kinds, nodeId: undefined, workcellId: undefined, user: undefined, experimentId: undefined }
const at = (text: string) => Date.parse(text) * 1000

describe('figures of utilization', () => {
  it('percentiles are the least value that so many percent do not exceed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 300 }), (list) => {
        const spread = spreadOf(list)
        for (const [p, value] of [
          [50, spread.p50_seconds],
          [90, spread.p90_seconds],
          [99, spread.p99_seconds],
        ] as const) {
          const enough = (limit: number) => list.filter((one) => one <= limit).length * 100 >= p * list.length
          const expected = [...list].sort((a, b) => a - b).find(enough)!
          expect(value).toBe(expected / 1e6)
        }
        expect(spread.max_seconds).toBe(Math.max(...list) / 1e6)
        expect(spread.count).toBe(list.length)
      }),
    )
    expect(spreadOf([])).toMatchObject({ count: 0, mean_seconds: null, p99_seconds: null })
  })

  it('failures, repairs and sums hold on whatever happens', () => {
    const zone = createZone('America/Chicago')
    fc.assert(
      fc.property(historyArbitrary, (events) => {
        const fold = createTimelineFold()
        for (const event of events) fold.add(toTimelineEvent(event))
        fold.settle()
        const window = { start: historyStart + 5 * 60e6, end: historyStart + 35 * 60e6 }
        for (const entity of fold.history.entities.values()) {
          if (entity.kind !== 'node') continue
          // The plain way: the whole life, from its beginning, state by state.
          const life = intervalsOf(entity.last, { start: historyStart - hour, end: historyStart + 2 * hour })
          let [failures, repairs, repairMicros] = [0, 0, 0]
          let since: number | undefined
          for (const { state, start } of life) {
            if (state === 'error' && since === undefined) {
              since = start
              if (start >= window.start && start < window.end) failures++
            } else if ((state === 'busy' || state === 'idle') && since !== undefined) {
              if (start > window.start && start <= window.end) {
                repairs++
                repairMicros += start - since
              }
              since = undefined
            }
          }
          const found = failuresOf(entity.last, window, totalsOf(intervalsOf(entity.last, window)))
          expect(found).toMatchObject({ failures, repairs })
          if (repairs > 0) expect(found.mttr_seconds).toBeCloseTo(repairMicros / repairs / 1e6, 5)
        }
        for (const by of groupings)
          for (const item of summarize(fold, filter, window, { by, bucket: 'hour', zone })) {
            const { busy, idle, error, down, unknown, wall } = item.totals_us
            expect(busy + idle + error + down + unknown).toBe(wall)
            for (const state of ['busy', 'idle', 'error', 'down', 'unknown', 'wall'] as const)
              expect(item.buckets!.reduce((sum, one) => sum + one.totals_us[state], 0)).toBe(
                item.totals_us[state],
              )
            const { total, completed, failed, cancelled, unknown: lost, open } = item.runs
            expect(completed + failed + cancelled + lost + open).toBe(total)
          }
        for (const { start, end, node, meanwhile, holders } of findWaits(fold, filter, window)) {
          expect(start).toBeLessThan(end)
          expect(start).toBeGreaterThanOrEqual(window.start)
          expect(end).toBeLessThanOrEqual(window.end)
          if (node) expect(meanwhile!.wall).toBe(end - start)
          for (const { micros } of holders) expect(micros).toBeLessThanOrEqual(end - start)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('hours, days, weeks and months of a zone fill the window, and begin on the wall clock', () => {
    const zones = [
      'UTC',
      'America/Chicago',
      'Europe/Berlin',
      'Asia/Kathmandu',
      'Australia/Lord_Howe',
      'Pacific/Apia',
    ]
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...buckets),
        fc.integer({ min: at('2009-01-01T00:00Z') / 1e6, max: at('2027-01-01T00:00Z') / 1e6 }),
        fc.integer({ min: 1, max: 400_000 }),
        (name, bucket, startSeconds, lengthSeconds) => {
          const zone = createZone(name)
          const window = { start: startSeconds * 1e6, end: (startSeconds + lengthSeconds) * 1e6 }
          const found = bucketsOf(window, bucket, zone)
          expect(found[0]!.start).toBe(window.start)
          expect(found.at(-1)!.end).toBe(window.end)
          found.forEach(({ start, end }, index) => {
            expect(start).toBeLessThan(end)
            if (index > 0) expect(start).toBe(found[index - 1]!.end)
            if (index === 0 || bucket === 'hour') return
            // A day begins at midnight, unless the clock skips it.
            expect(zone.toText(start).slice(11, 13)).toMatch(/^0[01]$/)
          })
          // Text and instant are each other's inverse.
          const text = zone.toText(window.start)
          expect(Date.parse(text) * 1000).toBe(window.start)
        },
      ),
    )
  })

  it('a day with a clock change has 23 or 25 hours, and both of its hours that look alike', () => {
    const zone = createZone('America/Chicago')
    const day = (text: string) => {
      const { start, end } = zone.bucketAt(at(text), 'day')
      return { hours: (end - start) / hour, start: zone.toText(start) }
    }
    expect(day('2026-03-08T12:00Z')).toEqual({ hours: 23, start: '2026-03-08T00:00:00.000000-06:00' })
    expect(day('2026-11-01T12:00Z')).toEqual({ hours: 25, start: '2026-11-01T00:00:00.000000-05:00' })
    const window = { start: at('2026-11-01T05:00Z'), end: at('2026-11-01T09:00Z') }
    expect(bucketsOf(window, 'hour', zone).map(({ start }) => zone.toText(start).slice(11, 16))).toEqual([
      '00:00',
      '01:00',
      '01:00',
      '02:00',
    ])
    // Naive bounds are those of the zone's wall clock.
    expect(zone.toMicros('2026-03-08T12:00:00.000000')).toBe(at('2026-03-08T17:00Z'))
    const convert = createZoneConverter('America/Chicago')
    expect(Number(fromTimestamp(convert('2026-03-08T12:00:00.000000'))! / 1000n)).toBe(
      at('2026-03-08T17:00Z'),
    )
  })
})
