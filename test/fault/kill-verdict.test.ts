import { expect, it } from 'vitest'
import { type Down, type Evidence, judgeBehind } from '../support/kill-verdict.ts'
import type { Tail } from '../support/tail.ts'
import type { Taken } from '../support/told-sink.ts'

const tail = (...ids: string[]): Tail => ({
  ids,
  altered: [],
  surprises: [],
  connections: 1,
  firstCursor: '',
  stop: async () => {},
})
const taken = (ids: string[], atMs: number, more: Partial<Taken> = {}): Taken => ({
  ids,
  sender: 0,
  delivery: 'd',
  fromMs: atMs - 10,
  atMs,
  isAnswered: true,
  ...more,
})
const down = (what: Down['what'], place: number, fromMs: number, toMs: number): Down => ({
  what,
  place,
  fromMs,
  toMs,
})

function judgeWith(more: Partial<Evidence>) {
  return judgeBehind({
    stored: new Set(['a', 'b', 'c']),
    alerting: new Set(['b']),
    tails: [tail('a', 'b', 'c'), tail('a', 'b', 'c')],
    fresh: tail('a', 'b', 'c'),
    batches: [taken(['a', 'b'], 100), taken(['c'], 200)],
    messages: [taken(['b'], 100)],
    downs: [],
    ...more,
  })
}

it('the judge of the kill cycles finds nothing where all is well', () => {
  const repeats = { fanout: 0, alerts: 0 }
  expect(judgeWith({})).toEqual({ tail: [], fanout: [], alerts: [], repeats })
})

it.for<[string, Partial<Evidence>]>([
  ['lacks', { tails: [tail('a', 'c')] }],
  ['twice', { tails: [tail('a', 'b', 'b', 'c')] }],
  ['another order', { tails: [tail('b', 'a', 'c')] }],
  ['not stored', { fresh: tail('a', 'b', 'c', 'd'), tails: [] }],
  ['the destination lacks', { batches: [taken(['a', 'b'], 100)] }],
  ['the destination is of another order', { batches: [taken(['a', 'c', 'b'], 100)] }],
  ['nobody was told', { messages: [] }],
  ['no alert', { messages: [taken(['b'], 1), taken(['c'], 2, { delivery: 'e' })] }],
  ['came', { messages: [taken(['b'], 100), taken(['b'], 9000)] }],
  [
    'came',
    { messages: [taken(['b'], 1), taken(['b'], 9, { delivery: 'e' })], downs: [down('killed', 0, 0, 9)] },
  ],
  ['came', { messages: [taken(['b'], 1), taken(['b'], 9)], downs: [down('killed', 1, 0, 9)] }],
  ['came', { messages: [taken(['b'], 612), taken(['b'], 5000)], downs: [down('killed', 0, 300, 500)] }],
  ['came', { messages: [taken(['b'], 1), taken(['b'], 9)], downs: [down('mongod', -1, 0, 9)] }],
  ['came', { messages: [taken(['b'], 1), taken(['b'], 5000)], downs: [down('killed', 0, 3000, 4000)] }],
])('it finds what is wrong: %s', ([what, evidence]) => {
  const { tail, fanout, alerts } = judgeWith(evidence)
  expect([...tail, ...fanout, ...alerts].join('\n')).toContain(what)
})

it.for<[string, Taken[], Down[]]>([
  ['the reply was lost', [taken(['b'], 1, { isAnswered: false }), taken(['b'], 500)], []],
  [
    'the sender was killed before it noted',
    [taken(['b'], 1), taken(['b'], 5000)],
    [down('killed', 0, 500, 900)],
  ],
  [
    'what the sender sent was read when it was gone already',
    [taken(['b'], 512, { fromMs: 501 }), taken(['b'], 5000)],
    [down('killed', 0, 300, 500)],
  ],
  [
    'the sender was killed while the database was away',
    [taken(['b'], 1), taken(['b'], 9000)],
    [down('mongod', -1, 0, 3000), down('killed', 0, 3500, 3600)],
  ],
  [
    'the sender stood still, and another took over',
    [taken(['b'], 6000, { sender: 1 }), taken(['b'], 9100)],
    [down('stopped', 0, 100, 9000)],
  ],
])('it lets come again what may: %s', ([, messages, downs]) => {
  const { alerts, repeats } = judgeWith({ messages, downs })
  expect(alerts).toEqual([])
  expect(repeats.alerts).toBe(1)
})
