import { describe, expect, it } from 'vitest'
import { toPhrase, toToken } from '../../../receiver/src/search/line.ts'
import { parseSearch } from '../../../receiver/src/search/search.ts'
import { createMatcher } from '../../../receiver/src/store/matcher.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'
import { namingSelector, subjectCondition } from '../../../receiver/src/subject.ts'

const now = new Date('2026-11-23T18:30:00Z')

function selectorOf(line: string) {
  const search = parseSearch(line, { now })
  if ('problem' in search) throw new Error(JSON.stringify(search.problem))
  return search.toSelector(() => [])
}

const problemOf = (line: string) => {
  const search = parseSearch(line, { now })
  if (!('problem' in search)) throw new Error(`understood: ${JSON.stringify(selectorOf(line))}`)
  return search.problem
}

const event = {
  _id: 'one',
  event_type: 'log_info',
  log_level: 40,
  alert: true,
  event_timestamp: '2026-11-23T17:00:00.000000Z',
  source: { node_id: '01JJ4S0WNGEF5FQAZG5KDGJRBV', workflow_id: '01JJ4S0WNGEF5FQAZG5KDGJRBX' },
  event_data: {
    message: 'Error: no tip at 12:30 in C:\\rack, see http://lab/a "now" (100%)',
    event_type: 'node_error',
    node_name: 'robot-arm',
    component_name: 'arm, left',
    count: 3,
    Case: 'x',
  },
  trace_id: 'abc',
  otel: { resource: { 'service.name': 'pump' }, event_name: 'device.up' },
}
const finds = (line: string) => {
  const selector = selectorOf(line)
  return selector === undefined || createMatcher(parseSelector(selector))(event)
}

describe('a line of the search language', () => {
  it.each([
    '',
    '   ',
    'TIP',
    'tip error',
    '"no tip"',
    '"\\"now\\" (100%)"',
    '(100%)',
    '12:30',
    'http://lab/a',
    'C:\\rack',
    'Error: no',
    '-robot -"tip no"',
    'node:robot-arm',
    'NODE:robot-arm',
    'node_id:01JJ4S0WNGEF5FQAZG5KDGJRBV',
    'node:"arm, left"',
    'node:other,robot-arm',
    'node:other,"arm, left"',
    'workflow:01JJ4S0WNGEF5FQAZG5KDGJRBX',
    'type:node_error',
    'type:NODE_ERROR,log_info',
    '-type:log_info',
    'level>=error',
    'level:error',
    'level=40',
    'level<critical',
    'level>30 level<=40',
    'level:debug,error',
    '-level:info',
    'service:pump',
    'service:nobody,pump',
    'event:device.up',
    'since:2h until:now',
    'since:today',
    'since:16:59 until:17:00:01',
    'since:2026-11-23T18:00:00+01:00',
    'trace:abc id:one alert:true',
    'text:tip,nothing',
    'event_data.count:3',
    'event_data.count>=3',
    'event_data.Case:x',
    'source.node_id:01JJ4S0WNGEF5FQAZG5KDGJRBV',
    '{"log_level": 40}',
    "{'log_level': 40, 'alert': True}",
    '-{"log_level": 20} tip {"event_data.count": {"$gt": 2}}',
    '-{"event_data.message": "}"}',
    '-main.py:13',
  ])('%s finds it', (line) => {
    expect(finds(line)).toBe(true)
  })

  it.each([
    'plate',
    'tip plate',
    '"tip no"',
    '-tip',
    'node:arm',
    '-node:robot-arm',
    'type:log_info',
    'level>error',
    '-level>=error',
    'service:arm',
    'since:1h',
    'until:2h',
    'since:yesterday until:today',
    'event_data.case:x',
    '-{"log_level": 40}',
    '--tip',
    '- tip',
  ])('%s does not find it', (line) => {
    expect(finds(line)).toBe(false)
  })

  it.each([
    ['tip nod:arm', 5, 3, "'nod' is no field: did you mean node?"],
    ['tip zzz:arm', 5, 3, "'zzz' is no field; there are type, level, "],
    ['type:node_eror', 6, 9, "'node_eror' is no event type: did you mean node_error?"],
    ['tip "no', 5, 3, 'the quote is not closed'],
    ['node:', 6, 0, 'node needs a value'],
    ['tip node:a,,b', 12, 0, 'node needs a value'],
    ['node>arm', 1, 8, 'node has no order'],
    ['level>=loud', 8, 4, 'level is one of debug, info, warning, error, critical'],
    ['level>=info,error', 13, 5, 'takes one value'],
    ['x type:log_info,nope', 17, 4, "'nope' is no event type"],
    ['since:soon', 7, 4, "'soon' is no time"],
    ['since:2h,3h', 10, 2, 'takes one time'],
    ['alert:maybe', 7, 5, 'alert is true or false'],
    ['tip {"a": 1', 5, 7, 'a brace is not closed'],
    ['tip {"a":}', 10, 1, 'the selector is no JSON'],
    ['tip -{"$where": "1"}', 5, 16, '$where'],
    ['""', 1, 2, 'nothing between the quotes'],
    ['a\0b', 2, 1, 'NUL'],
    ['😀 \ud83d', 4, 1, 'half a character'],
    [`x ${'y'.repeat(301)}`, 3, 301, 'at most 300 characters'],
    ['x '.repeat(51), 101, 1, 'at most 50 terms'],
    ['x'.repeat(10_001), 10_001, 1, 'at most 10000 characters'],
  ])('%.40s is refused at its place', (line, column, length, message) => {
    const problem = problemOf(line)
    expect(problem.message).toContain(message)
    expect([problem.column, problem.length]).toEqual([column, length])
  })

  it('finds a renamed type by each of its names', () => {
    for (const event_type of ['experiment_stop', 'experiment_cancelled'])
      for (const line of ['type:experiment_stop', 'type:experiment_cancelled']) {
        const matches = createMatcher(parseSelector(selectorOf(line)!))
        expect(matches({ event_type }), `${line} ${event_type}`).toBe(true)
        expect(matches({ event_type: 'log', event_data: { event_type } })).toBe(true)
      }
  })

  it('names what it calls by name, and takes their ids', () => {
    const search = parseSearch('node:arm -workflow:"assay 1"', { now })
    if ('problem' in search) throw new Error(search.problem.message)
    expect(search.names).toEqual([
      { kind: 'node', name: 'arm' },
      { kind: 'workflow', name: 'assay 1' },
    ])
    expect(JSON.stringify(search.toSelector(({ kind }) => [`${kind}-id`]))).toContain(
      '{"source.node_id":{"$in":["arm","node-id"]}}',
    )
  })

  it('reads a naive time as the receiver does', () => {
    const search = parseSearch('since:2026-11-23T18:00', { now })
    if ('problem' in search) throw new Error(search.problem.message)
    expect(search.toSelector(() => [])).toEqual({ event_timestamp: { $gte: '2026-11-23T18:00:00.000000' } })
  })

  it('takes any value that a token gives it', () => {
    for (const value of ['arm', 'a b', 'a,b', '"', '\\', '\\"', '{', '-', ':', 'a"b', '']) {
      if (value !== '')
        expect(selectorOf(toToken('node', value)), value).toEqual(subjectCondition('node', [value], []))
      if (value !== '') expect(JSON.stringify(selectorOf(toPhrase(value))), value).toContain('$regex')
    }
  })

  it('tells by which events things get their names', () => {
    const names = createMatcher(parseSelector(namingSelector('node', 'arm, left')))
    expect(names(event)).toBe(true)
    expect(createMatcher(parseSelector(namingSelector('node', 'pump')))(event)).toBe(false)
  })
})
