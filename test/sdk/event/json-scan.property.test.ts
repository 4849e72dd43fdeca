import { parseJson, parsePythonJson, replaceBare, scanJson } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyCharacter } from '../../support/character.ts'
import { growth } from '../../support/doubling.ts'

const none = { values: Number.POSITIVE_INFINITY, depth: Number.POSITIVE_INFINITY }

function count(value: unknown): { values: number; objects: number; arrays: number; depth: number } {
  if (typeof value !== 'object' || value === null) return { values: 1, objects: 0, arrays: 0, depth: 0 }
  const members = Object.values(value).map(count)
  const sum = (name: 'values' | 'objects' | 'arrays') => members.reduce((total, one) => total + one[name], 0)
  return {
    values: 1 + Math.max(1, sum('values')),
    objects: sum('objects') + (Array.isArray(value) ? 0 : 1),
    arrays: sum('arrays') + (Array.isArray(value) ? 1 : 0),
    depth: 1 + Math.max(0, ...members.map(({ depth }) => depth)),
  }
}

describe('scanJson', () => {
  it('counts what JSON.parse builds', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value)
        expect(scanJson(Buffer.from(text), none)).toEqual(count(JSON.parse(text)))
      }),
      { numRuns: 1000 },
    )
  })

  it('ends at its limits', () => {
    expect(scanJson(Buffer.from(`[${'1,'.repeat(1e6)}1]`), { values: 100, depth: 9 }).values).toBe(101)
    expect(scanJson(Buffer.from('['.repeat(1e6)), { values: 1e9, depth: 50 }).depth).toBe(51)
  })
})

describe('parseJson', () => {
  it('keeps every digit of every integer, wherever it stands, and alters nothing else', () => {
    const leaf = fc.oneof(
      fc.bigInt().map((n) => n * 10n ** 16n),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
      fc.string({ unit: anyCharacter }),
      fc.constantFrom('12345678901234567890', '"', '\\', '\\"', 'NaN', null, true, 1e300, 0.1),
    )
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }))
    const write = (one: unknown): string => {
      if (typeof one === 'bigint') return String(one)
      if (Array.isArray(one)) return `[${one.map(write).join(' , ')}]`
      if (typeof one !== 'object' || one === null) return JSON.stringify(one)
      return `{${Object.entries(one).map(([key, member]) => `${JSON.stringify(key)}: ${write(member)}`)}}`
    }
    const read = (one: unknown): unknown => {
      if (typeof one === 'bigint')
        return BigInt.asIntN(54, one) === one && Number.isSafeInteger(Number(one)) ? Number(one) : one
      if (typeof one === 'number') {
        const isLong = !Number.isSafeInteger(one) && /^-?\d+$/.test(String(one))
        return isLong ? BigInt(String(one)) : one
      }
      if (Array.isArray(one)) return one.map(read)
      if (typeof one !== 'object' || one === null) return one
      return Object.fromEntries(Object.entries(one).map(([key, member]) => [key, read(member)]))
    }
    fc.assert(
      fc.property(value, (one) => {
        expect(parseJson(write(one))).toEqual(read(one))
      }),
      { numRuns: 2000 },
    )
  })

  it('reads NaN and the infinities of Python as null, and leaves them in texts', () => {
    expect(
      parsePythonJson('{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN \\" Infinity", "NaN": 1}'),
    ).toEqual({
      a: null,
      b: [null, null],
      c: 'NaN " Infinity',
      NaN: 1,
    })
    for (const text of ['{"a": NaNa}', '{"a": aNaN}', 'Inf', '{"a": N}'])
      expect(() => parsePythonJson(text)).toThrow(SyntaxError)
  })

  it('refuses digits without end', () => {
    expect(() => parseJson(`[${'9'.repeat(1_000_000)}]`)).toThrow(SyntaxError)
    expect(() => parseJson('{"a":1,,"b":12345678901234567890}')).toThrow(/position 7/)
  })

  for (const [name, make] of [
    ['escaped quotes without end', (n: number) => `"${'\\"'.repeat(n)}`],
    ['backslashes', (n: number) => `"${'\\'.repeat(n)}`],
    ['quotes', (n: number) => '"'.repeat(n)],
    ['digits', (n: number) => `1${'123456789012345,'.repeat(n / 16)}`],
    ['long integers', (n: number) => `[${'12345678901234567890,'.repeat(n / 20)}1]`],
    ['NaN', (n: number) => `[${'NaN,'.repeat(n / 4)}NaN]`],
    ['minus signs', (n: number) => '-'.repeat(n)],
    ['objects beside a long integer', (n: number) => `[1234567890123456789${',{}'.repeat(n / 3)}]`],
  ] as const)
    it(`takes time in proportion to the text: ${name}`, async () => {
      const read = (size: number) => {
        const text = make(size)
        scanJson(Buffer.from(text), none)
        replaceBare(text, () => undefined)
        for (const parse of [parseJson, parsePythonJson]) {
          try {
            parse(text)
          } catch (error) {
            expect(error).toBeInstanceOf(SyntaxError)
          }
        }
      }
      expect(await growth(read, { from: 50_000, to: 400_000 })).toBeLessThan(2.5)
    })
})
