import { afterEach, describe, expect, it, vi } from 'vitest'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** As a program has it that has made no id yet. */
async function freshId(): Promise<typeof import('../../../sdk/src/event/id.ts')> {
  vi.resetModules()
  return import('../../../sdk/src/event/id.ts')
}

describe('createEventId', () => {
  it.each([0, -1000, 1, 4e12])('is unique to each program whose fake clock stands at %d', async (now) => {
    vi.useFakeTimers({ now })
    const ids = new Set<string>()
    for (let program = 0; program < 3; program++) {
      const { createEventId, isUlid } = await freshId()
      const own = Array.from({ length: 3 }, () => createEventId())
      expect(own.every(isUlid)).toBe(true)
      expect(own.toSorted()).toEqual(own)
      for (const id of own) ids.add(id)
    }
    expect(ids.size).toBe(9)
  })

  it('is a ULID with a clock that is no number, and when the clock is there again', async () => {
    const { createEventId, timeOfUlid, isUlid } = await freshId()
    const clock = vi.spyOn(Date, 'now').mockReturnValue(Number.NaN)
    expect([createEventId(), createEventId()].every(isUlid)).toBe(true)
    clock.mockReturnValue(1_700_000_000_123)
    expect(timeOfUlid(createEventId())).toBe(1_700_000_000_123)
  })
})
