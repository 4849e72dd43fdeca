import fc from 'fast-check'
import { expect, it } from 'vitest'
import { splitKeyValues } from '../../../receiver/src/transfer/key-value.ts'
import { growth } from '../../support/doubling.ts'

/** The same as a regular expression, which takes exponential time on other texts. */
function reference(text: string) {
  const value = `(?:'(?:[^'\\\\]|\\\\.)*'|"(?:[^"\\\\]|\\\\.)*"|\\[[^\\]]*\\]|\\{[^}]*\\}|\\S+)`
  const [, message = '', tail = ''] = new RegExp(`^(.*?)((?:\\s+\\w+=${value})*)\\s*$`, 's').exec(text) ?? []
  return { message: message.trim(), hasPairs: tail !== '' }
}

const word = fc.constantFrom('a', 'bc', 'x1', 'message')
const value = fc.constantFrom(
  "'a b'",
  '"c d"',
  '[1, 2]',
  '{a: 1}',
  'word',
  "'open",
  '"',
  "it's",
  '3.5',
  '[',
  'a=b',
)
const part = fc.oneof(
  word,
  fc.tuple(word, value).map(([key, text]) => `${key}=${text}`),
  fc.constantFrom(' ', '  ', '=', "'", '"', '\\', "\\'", '[x', '}'),
)

it('the message ends where nothing but pairs follows', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
      const text = `start ${parts.join(' ')}`
      const { message, pairs } = splitKeyValues(text)
      const expected = reference(text)
      expect({ message, hasPairs: pairs.length > 0 }).toEqual(expected)
    }),
    { numRuns: 2000 },
  )
})

it('pairs keep quotes, brackets and what stands in them', () => {
  expect(
    splitKeyValues(`lid is open   plate='A \\' 1' count=3 wells=['A1', 'B2'] at={'x': 1} name="two words"  `),
  ).toEqual({
    message: 'lid is open',
    pairs: [
      ['plate', "'A \\' 1'"],
      ['count', '3'],
      ['wells', "['A1', 'B2']"],
      ['at', "{'x': 1}"],
      ['name', '"two words"'],
    ],
  })
})

for (const [name, make] of [
  ['pairs that end in something else', (n: number) => `${" a='b'".repeat(n)} x y`],
  ['quotes without end', (n: number) => ` a='${" b='".repeat(n)}`],
  ['brackets without end', (n: number) => ' a=['.repeat(n)],
  ['white space', (n: number) => `m${' '.repeat(n)}a=`],
  ['one word', (n: number) => 'a'.repeat(n)],
  ['equals signs', (n: number) => ` a${'=a'.repeat(n)}`],
] as const)
  it(`takes time in proportion to the text: ${name}`, async () => {
    expect(await growth((size) => splitKeyValues(make(size)), { from: 40_000, to: 640_000 })).toBeLessThan(
      2.5,
    )
  })
