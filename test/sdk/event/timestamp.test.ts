import { fromTimestamp, nowTimestamp, parseTimestamp, toTimestamp } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'

describe('parseTimestamp', () => {
  it.each([
    ['2025-01-01T00:00:00', '2025-01-01T00:00:00.000000'],
    ['2025-01-01T00:00:00.5', '2025-01-01T00:00:00.500000'],
    ['2025-01-01T00:00:00.000Z', '2025-01-01T00:00:00.000000Z'],
    ['2025-01-01T00:00:00+00:00', '2025-01-01T00:00:00.000000Z'],
    ['2025-01-01T00:00:00-0530', '2025-01-01T05:30:00.000000Z'],
    ['2025-01-01 10:00', '2025-01-01T10:00:00.000000'],
    ['2025-01-01t10:00:01,1234567z', '2025-01-01T10:00:01.123456Z'],
    ['2025-01-01', '2025-01-01T00:00:00.000000'],
    ['2024-02-29', '2024-02-29T00:00:00.000000'],
    [1735689600, '2025-01-01T00:00:00.000000Z'],
    ['1735689600', '2025-01-01T00:00:00.000000Z'],
    [1735689600000, '2025-01-01T00:00:00.000000Z'],
    [1735689600.25, '2025-01-01T00:00:00.250000Z'],
    [-1, '1969-12-31T23:59:59.000000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
  ])('reads %s', (input, text) => {
    expect(parseTimestamp(input)).toEqual({ text })
  })

  it.each([
    '2025-01-01T24:00:00',
    '2025-01-01T00:00:60',
    '2025-02-30',
    '2023-02-29',
    '2025-13-01',
    '20250101T000000Z',
    ' 2025-01-01',
    '',
    'now',
    '0000-01-01',
    '0001-01-01T00:00:00+01:00',
    true,
    null,
    {},
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
  ])('refuses %s', (input) => {
    expect(parseTimestamp(input)).toHaveProperty('reason')
  })

  it('gives text whose order is time order, for every instant', () => {
    const micros = fc.bigInt({ min: -62135596800000000n, max: 253402300799999999n })
    fc.assert(
      fc.property(micros, micros, (a, b) => {
        const [textA, textB] = [toTimestamp(a * 1000n), toTimestamp(b * 1000n)]
        expect(fromTimestamp(textA)).toBe(a * 1000n)
        expect(parseTimestamp(textA)).toEqual({ text: textA })
        expect(textA < textB).toBe(a < b)
      }),
      { numRuns: 1000 },
    )
  })

  it('now lies between two readings of the clock', () => {
    const before = Date.now() - 3
    const now = Number(fromTimestamp(nowTimestamp())! / 1000000n)
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now() + 3)
  })

  it('never lies outside two readings of the system clock, to the millisecond', () => {
    for (let i = 0; i < 20_000; i++) {
      const before = new Date().toISOString()
      const now = nowTimestamp()
      const after = new Date().toISOString()
      if (!(now.slice(0, 23) >= before.slice(0, 23) && now.slice(0, 23) <= after.slice(0, 23)))
        expect.fail(`${before} ${now} ${after}`)
    }
  })

  it('keeps the order of what one process says, also beside a clock that runs slower or faster', () => {
    const read = performance.now.bind(performance)
    const clock = vi.spyOn(performance, 'now')
    try {
      for (const offsetMs of [0, 0.9, 1.8, -0.9, -1.8]) {
        clock.mockImplementation(() => read() + offsetMs)
        let last = ''
        for (let i = 0; i < 5000; i++) {
          const earliestMs = read() + 0.005
          while (read() < earliestMs);
          const now = nowTimestamp()
          // A clock that jumps ahead within a millisecond may leave it no microsecond.
          const isFull = offsetMs !== 0 && now === last && now.endsWith('999Z')
          if (now <= last && !isFull) expect.fail(`${last} ${now}, clocks ${offsetMs} ms apart`)
          last = now
        }
      }
    } finally {
      clock.mockRestore()
    }
  })
})
