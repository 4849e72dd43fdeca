import { isObject, type Value } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { createMatcher } from '../../../receiver/src/store/matcher.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'

const nested = (depth: number): Value => (depth === 0 ? 1 : { a: nested(depth - 1) })

describe('parseSelector', () => {
  it('takes {} and [] for everything, and no other list or scalar', () => {
    for (const input of [{}, []]) expect(parseSelector(input).conditions).toEqual([])
    for (const input of [[1], 'x', 7, null, true])
      expect(() => parseSelector(input), JSON.stringify(input)).toThrow(/a selector is an object/)
  })

  it.each<[Value, RegExp]>([
    [{ $where: 'sleep(1)' }, /\$where is not accepted/],
    [{ a: { $function: {} } }, /\$function is not accepted \(at 'a'\)/],
    [{ $jsonSchema: {} }, /\$jsonSchema/],
    [{ $text: { $search: 'x' } }, /\$text/],
    [{ a: { $near: [1] } }, /\$near/],
    [{ $expr: { $function: { body: 'x' } } }, /\$function is not accepted \(in \$expr\)/],
    [{ $expr: { $eq: ['$$ROOT', 1] } }, /is no path/],
    [{ a: { $elemMatch: { $expr: true } } }, /\$expr/],
    [{ a: { $gt: 1, b: 2 } }, /b is not accepted/],
    [{ a: { b: 2, $gt: 1 } }, /mixed/],
    [{ $and: [] }, /\$and takes a list/],
    [{ a: { $in: 1 } }, /\$in takes a list/],
    [{ a: { $regex: '(' } }, /regular expression is wrong/],
    [{ a: { $regex: 'a++' } }, /possessive/],
    [{ a: { $regex: '[[:alpha:]]' } }, /POSIX/],
    [{ a: { $regex: 'x'.repeat(1001) } }, /longer than 1000/],
    [{ a: { $regex: 'x', $options: 'g' } }, /unknown option 'g'/],
    [{ a: { $options: 'i' } }, /beside \$regex/],
    [{ a: { $size: -1 } }, /\$size/],
    [{ a: { $mod: [0, 1] } }, /divisor/],
    [{ a: { $type: 'no type' } }, /\$type does not know/],
    [{ a: 2n ** 64n }, /64 bits/],
    [{ 'a\0b': 1 }, /NUL/],
    [{ a: '\ud800' }, /surrogate/],
    [nested(70), /nested at most 64/],
    [{ a: { $in: new Array(10_001).fill(1) } }, /at most 10000/],
    [{ a: new Array(50_001).fill(1) }, /at most 50000 values/],
    [{ $or: Array.from({ length: 1001 }, (_, i) => ({ a: i })) }, /at most 1000 conditions/],
  ])('%#. refuses with a reason', (input, reason) => {
    expect(() => parseSelector(input)).toThrow(reason)
    expect(() => parseSelector(input)).toThrow(expect.objectContaining({ code: 'EVT_SELECTOR', status: 422 }))
  })

  it('names of prototypes are names', () => {
    const selector = JSON.parse('{"__proto__.constructor": 1, "toString": {"$exists": true}}') as Value
    const matches = createMatcher(parseSelector(selector))
    expect(matches({})).toBe(false)
    expect(
      matches(JSON.parse('{"__proto__": {"constructor": 1}, "toString": 1}') as { [key: string]: Value }),
    ).toBe(true)
  })

  it('a time in a selector finds its naive, its UTC and the original’s text', () => {
    const matches = createMatcher(parseSelector({ event_timestamp: '2020-01-01T01:00:00+01:00' }))
    for (const event_timestamp of [
      '2020-01-01T00:00:00',
      '2020-01-01T00:00:00.000000',
      '2020-01-01T00:00:00.000000Z',
    ])
      expect(matches({ event_timestamp }), event_timestamp).toBe(true)
    expect(matches({ event_timestamp: '2020-01-01T01:00:00.000000' })).toBe(false)
    const within = createMatcher(
      parseSelector({ event_timestamp: { $gte: '2020-01-01T00:00:00', $lte: '2020-01-01T00:00:00' } }),
    )
    expect(within({ event_timestamp: '2020-01-01T00:00:00.000000Z' })).toBe(true)
  })

  it('with naive_timezone naive times of a selector are converted as events are', () => {
    const fromNaive = (text: string) => `${text.replace('T01', 'T00')}Z`
    const { source } = parseSelector({ event_timestamp: { $gt: '2020-01-01T01:00:00.5' } }, { fromNaive })
    expect(isObject(source.event_timestamp!) && source.event_timestamp.$gt).toBe(
      '2020-01-01T00:00:00.500000Z',
    )
  })
})
