import { describe, expect, it } from 'vitest'
import { medianInterval } from './interval.ts'

/** The same numbers in every run. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return (state + 0.5) / 2 ** 32
  }
}

describe('the interval of a median', () => {
  it('lies between the ranks whose exact coverage surrounds the wanted one', () => {
    // Seven values: the whole range covers 98.4 %, the one inside it 87.5 %.
    const { median, low, high } = medianInterval([7, 1, 6, 2, 5, 3, 4], 0.9)
    expect(median).toBe(4)
    expect(low).toBeGreaterThan(1)
    expect(low).toBeLessThan(2)
    expect(high).toBeCloseTo(8 - low, 10)
    // Ranks 5 and 16 of twenty cover 98.8 %, 6 and 15 cover 95.9 %, 7 and 14 cover 88.5 %.
    const twenty = medianInterval(
      Array.from({ length: 20 }, (_, index) => index + 1),
      0.9,
    )
    expect(twenty.low).toBeGreaterThan(6)
    expect(twenty.low).toBeLessThan(7)
    expect(twenty.median).toBe(10.5)
  })

  it('is the whole range when there are too few values, and a point for one', () => {
    expect(medianInterval([3, 1, 2], 0.9)).toEqual({ median: 2, low: 1, high: 3 })
    expect(medianInterval([5], 0.9)).toEqual({ median: 5, low: 5, high: 5 })
    expect(() => medianInterval([], 0.9)).toThrow(/empty/)
  })

  it.each([7, 8, 9, 12, 25])('holds the true median of %i values about nine times in ten', (count) => {
    const random = createRandom(count)
    // Skewed, as times are: the median of -log(u) is log(2).
    const rounds = 4000
    let held = 0
    for (let round = 0; round < rounds; round++) {
      const { low, high } = medianInterval(
        Array.from({ length: count }, () => -Math.log(random())),
        0.9,
      )
      if (low <= Math.LN2 && Math.LN2 <= high) held++
    }
    expect(held / rounds).toBeGreaterThan(0.88)
    expect(held / rounds).toBeLessThan(0.94)
  })
})
