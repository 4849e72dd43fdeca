import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import { toPhrase } from '../../../../receiver/src/search/line.ts'
import { parseSearch } from '../../../../receiver/src/search/search.ts'
import { createMatcher, toMatchDocument } from '../../../../receiver/src/store/matcher.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { toLikePattern, toPlan } from '../../../../receiver/src/store/sqlite/plan.ts'
import { collect, makeEvent } from '../../../contract/event-store.contract.ts'

// Cases that Unicode knows beyond ASCII, what JSON escapes, and what LIKE takes for a pattern.
const letter = fc.constantFrom(
  ...'kKsSaAiI%_"\\/ é💡\n\u007fß',
  '\u212a',
  '\u017f',
  '\u0130',
  '\u0131',
  '\ud83d\ude00',
)
const text = fc.array(letter, { maxLength: 6 }).map((letters) => letters.join(''))
const all = { archived: 'include', order: 'none', limit: 0, offset: 0, timeoutMs: 0 } as const

describe('the plan of a query', () => {
  let folder: string
  let store: Awaited<ReturnType<typeof openSqliteStore>>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-plan-'))
    store = await openSqliteStore({ path: join(folder, 'a.db'), log: silentLog })
  })
  afterAll(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  it('leaves out no row that the matcher takes', async () => {
    const value = fc.sample(
      fc.oneof(text, fc.record({ message: text, node_name: text })) as fc.Arbitrary<Value>,
      400,
    )
    await store.write(
      value.map((event_data, i) => makeEvent(String(i), { event_data, log_level: i % 2 ? 40 : 20 })),
    )
    const stored = await collect(store)
    const term = fc.oneof(
      text.filter((one) => one.trim() !== '').map(toPhrase),
      text.filter((one) => one !== '').map((one) => `node:${toPhrase(one)}`),
      fc.constantFrom(
        'level>=error',
        'type:log_info',
        'since:1h',
        '{"$or": [{"_id": "1"}, {"log_level": 40}]}',
      ),
      fc.constantFrom(
        '{"$or": [{"_id": 1}, {"event_data.message": {"$in": ["a", "k"]}}]}',
        '{"$nor": [{"_id": "1"}]}',
      ),
    )
    const line = fc.array(fc.tuple(fc.constantFrom('', '-'), term), { minLength: 1, maxLength: 3 })
    const property = fc.asyncProperty(line, async (terms) => {
      const search = parseSearch(terms.map((one) => one.join('')).join(' '), { now: new Date() })
      if ('problem' in search) throw new Error(search.problem.message)
      const selector = parseSelector(search.toSelector(() => [])!)
      const matches = createMatcher(selector)
      const expected = stored.filter((event) => matches(toMatchDocument(event))).map(({ id }) => id)
      const found: string[] = []
      for await (const chunk of store.find({ ...all, selector })) found.push(...chunk.map(({ id }) => id))
      expect(found.sort()).toEqual(expected.sort())
    })
    await fc.assert(property, { numRuns: 150 })
  })

  it('looks for words and names in the text of a document before it is read', () => {
    // Behind what the selector says stands what every query leaves out.
    const common = toPlan(all).hints
    const hints = (selector: Value) => {
      const { texts, parameters } = toPlan({ ...all, selector: parseSelector(selector) }).hints
      const own = (list: readonly unknown[], behind: readonly unknown[]) =>
        list.slice(0, list.length - behind.length)
      return { texts: own(texts, common.texts), parameters: own(parameters, common.parameters) }
    }
    const word = { $regex: 'no tip', $options: 'i' }
    expect(hints({ $or: [{ 'event_data.message': word }, { event_data: word }] })).toEqual({
      texts: ['((document LIKE ?) OR (document LIKE ?))'],
      parameters: ['%no tip%', '%no tip%'],
    })
    expect(hints({ $or: [{ 'source.node_id': 'x' }, { log_level: { $gt: 5 } }] }).texts).toEqual([
      '((instr(document, ?) > 0) OR (log_level > ?))',
    ])
    // Of one alternative nothing can be said.
    expect(hints({ $or: [{ 'source.node_id': 'x' }, { 'event_data.n': 5 }] }).texts).toEqual([])
    expect(hints({ 'event_data.message': { $regex: 'a.b' } }).texts).toEqual([])
    expect(hints({ 'event_data.message': { $regex: 'a\\.b' } }).parameters).toEqual(['%a.b%'])
    expect(toLikePattern('ab"k%é')).toBe('%ab%__%%')
    expect(toLikePattern('ks')).toBeUndefined()
  })
})
