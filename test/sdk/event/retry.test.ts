import { expect, it } from 'vitest'
import { parseRetryAfter, toBackoffMs } from '../../../sdk/src/event/retry.ts'

it('delays double up to the most, and jitter makes them shorter or longer', () => {
  const delays = (options: object) =>
    [1, 2, 3, 4, 5000].map((failure) => toBackoffMs(failure, { firstMs: 100, mostMs: 500, ...options }))
  expect(delays({})).toEqual([100, 200, 400, 500, 500])
  expect(delays({ jitter: 0.2, random: () => 0 })).toEqual([80, 160, 320, 400, 400])
  expect(delays({ jitter: 0.2, random: () => 1 }).map(Math.round)).toEqual([120, 240, 480, 600, 600])
})

it('Retry-After is never more than the most', () => {
  expect(parseRetryAfter(undefined)).toBeUndefined()
  expect(parseRetryAfter('')).toBeUndefined()
  expect(parseRetryAfter(' 7 ')).toBe(7000)
  expect(parseRetryAfter('9'.repeat(400), 0, 5000)).toBe(5000)
  expect(parseRetryAfter('3600', 0, Number.POSITIVE_INFINITY)).toBe(3_600_000)
})
