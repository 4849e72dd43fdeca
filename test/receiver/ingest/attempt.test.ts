import { describe, expect, it } from 'vitest'
import { createAttempts } from '../../../receiver/src/ingest/attempt.ts'
import { createRecordIds, type RequestIdentity } from '../../../receiver/src/otlp/record-id.ts'

const digest = 'ab'.repeat(32)
const dated = ({ dated }: RequestIdentity) => Buffer.from(dated).toString('hex')
const undated = ({ undated }: RequestIdentity) => Buffer.from(undated).toString('hex')

describe('attempts', () => {
  it('equal requests have identities of their own; one that was lost leaves its own to the next', () => {
    const attempts = createAttempts()
    const first = attempts.begin(digest)
    const second = attempts.begin(digest)
    const third = attempts.begin(digest)
    const all = [first, second, third].map(({ identity }) => identity)
    expect(new Set(all.map(dated)).size).toBe(3)
    expect(new Set(all.map(undated)).size).toBe(3)
    second.lose()
    second.lose()
    third.lose()
    expect(attempts.begin(digest).identity).toBe(second.identity)
    const again = attempts.begin(digest)
    expect(again.identity).toBe(third.identity)
    again.lose()
    expect(attempts.begin(digest).identity).toBe(third.identity)
    expect(all).not.toContain(attempts.begin(digest).identity)
  })

  it('the first of its kind is the same everywhere for records with a time, and nowhere for those without', () => {
    const [here, there] = [createAttempts(), createAttempts()].map(
      (attempts) => attempts.begin(digest).identity,
    )
    expect(dated(here!)).toBe(dated(there!))
    expect(undated(here!)).not.toBe(undated(there!))
    expect(dated(createAttempts().begin('cd'.repeat(32)).identity)).not.toBe(dated(here!))
  })

  it('forgets: who tried an hour ago, and of too many requests those asked for least lately', () => {
    let nowMs = 0
    const attempts = createAttempts({ maxRemembered: 2, now: () => nowMs })
    const lost = attempts.begin(digest)
    lost.lose()
    nowMs = 3_600_001
    expect(attempts.begin(digest).identity).not.toBe(lost.identity)
    attempts.begin('b')
    attempts.begin(digest)
    attempts.begin('c')
    expect(dated(attempts.begin('b').identity)).toBe(dated(createAttempts().begin('b').identity))
  })
})

describe('ids of records that bring none', () => {
  const record = { timeUnixNano: 1_700_000_000_000_000_000n, observedTimeUnixNano: 0n } as never
  const later = { timeUnixNano: 0n, observedTimeUnixNano: 1_800_000_000_000_000_000n } as never
  const never = { timeUnixNano: 0n, observedTimeUnixNano: 0n } as never

  it('are of the bytes and of their place: the same for the same request, and else all different', () => {
    const idsOf = (text: string) => {
      const ids = createRecordIds(Buffer.from(text))
      return [record, record, later, never, never].map(ids.idOf)
    }
    const ids = idsOf('a')
    expect(idsOf('a')).toEqual(ids)
    expect(new Set([...ids, ...idsOf('b')]).size).toBe(10)
    for (const id of ids) expect(id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
    expect(ids[0]!.slice(0, 10)).toBe('01HF7YAT00')
  })

  it('count on where the random part ends', () => {
    const random = new Uint8Array(10).fill(255)
    const ids = createRecordIds(Buffer.alloc(0), () => ({ dated: random, undated: random, undatedMs: 7 }))
    expect(ids.idOf(never)).toBe('0000000007ZZZZZZZZZZZZZZZZ')
    expect(ids.idOf(never)).toBe('00000000070000000000000000')
    expect(ids.idOf(never)).toBe('00000000070000000000000001')
  })

  it('ask once, and only when there is such a record', () => {
    let asked = 0
    const identify = () => {
      asked++
      return { dated: new Uint8Array(10), undated: new Uint8Array(10), undatedMs: 0 }
    }
    const ids = createRecordIds(Buffer.alloc(0), identify)
    expect(asked).toBe(0)
    ids.idOf(record)
    ids.idOf(record)
    expect(asked).toBe(1)
  })
})
