import { fromExactJson, isPlain, parseJson, toExactJson, toJson } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { valueArbitrary } from '../../support/arbitrary.ts'

it('exact JSON gives every value back', () => {
  fc.assert(
    fc.property(valueArbitrary, (value) => {
      expect(fromExactJson(toExactJson(value))).toEqual(value)
    }),
    { numRuns: 2000 },
  )
})

it('plain JSON gives back every value that isPlain says it does', () => {
  fc.assert(
    fc.property(valueArbitrary, (value) => {
      fc.pre(isPlain(value))
      expect(parseJson(toJson(value))).toEqual(value)
    }),
    { numRuns: 2000 },
  )
})

it('objects that look like the marks of exact JSON are given back as they were', () => {
  for (const value of [
    { '$madsci.bytes': 'AAAA' },
    { '$madsci.object': { '$madsci.number': 'NaN' } },
    { '$madsci.number': [{ '$madsci.bytes': 1 }] },
  ]) {
    expect(fromExactJson(toExactJson(value))).toEqual(value)
  }
})

it('keeps every digit of 64-bit integers, and throws on what is not JSON', () => {
  expect(parseJson('[9223372036854775807,1.0,12500000000000000e0]')).toEqual([
    9223372036854775807n,
    1,
    1.25e16,
  ])
  expect(toJson([9223372036854775807n, new Uint8Array([1]), Number.NaN])).toBe(
    '[9223372036854775807,"AQ==",null]',
  )
  expect(() => parseJson('{"a":NaN}')).toThrow(SyntaxError)
})
