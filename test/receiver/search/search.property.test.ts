import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSearch } from '../../../receiver/src/search/search.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'
import { anyCharacter } from '../../support/character.ts'
import { growth } from '../../support/doubling.ts'

const now = new Date('2026-11-23T18:30:00Z')
const piece = fc.constantFrom(
  ...[
    'node',
    'type',
    'level',
    'since',
    'text',
    'event_data.a',
    'nod',
    '_id',
    ':',
    '=',
    '>=',
    '<',
    '-',
    '"',
    '\\',
    '{',
    '}',
  ],
  ...[
    '[',
    ']',
    "'",
    ',',
    ' ',
    '\t',
    '$',
    '{"a": 1}',
    '{"$or": []}',
    'log_info',
    'error',
    '2h',
    '12:30',
    '\0',
    '\ud83d',
    '😀',
  ],
)
const line = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
  fc.string({ unit: anyCharacter }),
  fc.string({ unit: 'grapheme' }),
)

describe('any line', () => {
  it('compiles to a selector, or is refused at a place within it', () => {
    const property = fc.property(line, (text) => {
      const search = parseSearch(text, { now })
      if ('problem' in search) {
        const { column, length, message } = search.problem
        expect(column).toBeGreaterThanOrEqual(1)
        expect(length).toBeGreaterThanOrEqual(0)
        expect(column - 1 + length).toBeLessThanOrEqual(text.length)
        expect(message).not.toBe('')
        return
      }
      const selector = search.toSelector(() => ['01JJ4S0WNGEF5FQAZG5KDGJRBV'])
      if (selector === undefined) expect(text.trim()).toBe('')
      else expect(() => parseSelector(selector)).not.toThrow()
    })
    fc.assert(property, { numRuns: 2000 })
  })

  it('is read in linear time', { timeout: 60_000 }, async () => {
    for (const pump of [
      'a',
      'a ',
      '"',
      '\\"',
      '"a" ',
      '{',
      '{}',
      '{"a":',
      '-',
      'node:a,',
      'node:',
      '😀',
      "{'",
      'a:',
    ])
      expect(
        await growth(
          (size) => parseSearch(pump.repeat(Math.ceil(size / pump.length)).slice(0, size), { now }),
          {
            from: 1250,
            to: 10_000,
            floorMs: 5,
          },
        ),
        pump,
      ).toBeLessThan(2.6)
  })
})
