import { createZoneConverter } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'

describe('zone', () => {
  it('converts wall clock times to UTC, microseconds kept', () => {
    const toUtc = createZoneConverter('Europe/Berlin')
    expect(toUtc('2026-07-01T12:00:00.123456')).toBe('2026-07-01T10:00:00.123456Z')
    expect(toUtc('2026-01-01T00:30:00.000000')).toBe('2025-12-31T23:30:00.000000Z')
  })

  it('reads a skipped hour with the offset before it, and a doubled hour as its first', () => {
    const toUtc = createZoneConverter('Europe/Berlin')
    expect(toUtc('2026-03-29T02:30:00.000000')).toBe('2026-03-29T01:30:00.000000Z')
    expect(toUtc('2026-10-25T02:30:00.000000')).toBe('2026-10-25T00:30:00.000000Z')
  })

  it('keeps UTC, and knows half-hour zones', () => {
    expect(createZoneConverter('UTC')('2026-01-01T00:00:00.000001')).toBe('2026-01-01T00:00:00.000001Z')
    expect(createZoneConverter('Asia/Kolkata')('2026-01-01T05:30:00.000000')).toBe(
      '2026-01-01T00:00:00.000000Z',
    )
  })

  it('refuses a zone that does not exist', () => {
    expect(() => createZoneConverter('Mars/Olympus')).toThrow(RangeError)
  })
})
