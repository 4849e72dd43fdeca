import { describe, expect, it } from 'vitest'
import { limitTime, parseRegex } from '../../../receiver/src/store/regex.ts'
import { growth } from '../../support/doubling.ts'

const evil = [
  '^(a+)+$',
  '^(a|a)+$',
  '^(a|aa)+$',
  '(.*)*b',
  '(a*)*b',
  '([a-z]+)*1',
  '(.+)+\\d$',
  '(a{1,50}){1,9}b',
  '(x+x+)+y',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  'a*a*a*a*a*b',
  '(?:a?){30}a{30}b',
]

describe('regular expressions of selectors', () => {
  for (const pattern of evil)
    it(`${pattern} takes time in proportion to the text`, async () => {
      for (const options of ['', 'i', 's']) {
        const regex = parseRegex(pattern, options)
        expect(regex.isLinear).toBe(true)
        const run = (size: number) => expect(regex.test(`${'a'.repeat(size)}!`)).toBe(false)
        expect(await growth(run, { from: 10_000, to: 80_000 })).toBeLessThan(2.5)
      }
    })

  it('a pattern is not compiled into more than its length allows', () => {
    const startedMs = performance.now()
    for (const pattern of [
      '(a{1000}){1000}',
      '((a{100}){100}){100}',
      `${'('.repeat(300)}a${'){9}'.repeat(300)}`,
    ]) {
      try {
        parseRegex(pattern, '')
      } catch (error) {
        expect(error).toMatchObject({ code: 'EVT_SELECTOR' })
      }
    }
    expect(performance.now() - startedMs).toBeLessThan(5000)
  })

  for (const [pattern, options, text, isMatch, isLinear] of [
    ['a$', '', 'a\n', true, true],
    ['a$', '', 'a\n\n', false, true],
    ['a$|b', '', 'a\n', true, true],
    ['(a$)', '', 'xa\n', true, true],
    ['(a$)\\n', '', 'a\n', true, false],
    ['a$b', 'm', 'a\nb', false, true],
    ['a$\\nb', 'm', 'a\nb', true, true],
    ['^b', 'm', 'a\nb', true, false],
    ['^$', 'm', 'a\n', false, false],
    ['\\Aa\\z', '', 'a\n', false, true],
    ['\\Aa\\Z', '', 'a\n', true, true],
    ['a.c', '', 'a\nc', false, true],
    ['a.c', 's', 'a\nc', true, true],
    ['a.c', '', 'a\u{1f600}c', true, true],
    ['STRASSE|É', 'i', 'é', true, true],
    ['(?i)abc', '', 'ABC', true, true],
    ['(?<=a)b', '', 'ab', true, false],
    ['(a)\\1', '', 'aa', true, false],
    ['(?<year>\\d{4})-', '', '2026-', true, true],
    ['a b # comment', 'x', 'ab', true, true],
    ['[\\s]x', '', '\u00a0x', false, true],
    ['\\bfoo\\b', '', 'a foo.', true, true],
    ['[^a]b', '', '\nb', true, true],
    ['a{1001}', '', 'a'.repeat(1001), true, false],
  ] as const)
    it(`/${pattern}/${options} on ${JSON.stringify(text.slice(0, 20))}: ${isMatch}`, () => {
      const regex = parseRegex(pattern, options)
      expect([regex.test(text), regex.isLinear]).toEqual([isMatch, isLinear])
    })

  it('what needs backtracking is ended at its limit, and rests before it is tried again', () => {
    const regex = limitTime(parseRegex('^(?=a)(a|a)+$', ''), 10)
    expect(regex.test('aaa')).toBe(true)
    const text = `${'a'.repeat(60)}!`
    const startedMs = performance.now()
    for (let i = 0; i < 1000; i++) {
      const test = () => regex.test(text)
      expect(test).toThrowError(expect.objectContaining({ code: 'EVT_QUERY_TIMEOUT' }))
    }
    // One alone would take longer than anybody waits.
    expect(performance.now() - startedMs).toBeLessThan(5000)
  })
})
