import { EventError, parseEvent, type Value } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'

const node_id = '01JJ4S0WNGEF5FQAZG5KDGJRBV'

function detailsOf(input: Value): { type: string; loc: unknown[]; msg: string }[] {
  try {
    parseEvent(input)
  } catch (error) {
    expect(error).toBeInstanceOf(EventError)
    expect((error as EventError).code).toBe('EVT_INVALID')
    return (error as EventError).detail as never
  }
  throw new Error('was accepted')
}

describe('parseEvent', () => {
  it('gives an empty object all defaults, and the id of the manager as its source', () => {
    const event = parseEvent({}, { managerId: node_id })
    expect(event).toMatchObject({
      event_type: 'unknown',
      log_level: 20,
      alert: false,
      source: { manager_id: node_id },
      event_data: {},
      trace_id: null,
      span_id: null,
      archived: false,
      archived_at: null,
    })
    expect(event.event_id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
    expect(parseEvent({ source: {} }, { managerId: node_id }).source).toEqual({})
  })

  it('reads words in any case, levels by name and number, and drops null ids', () => {
    const event = parseEvent({
      event_id: 'mine',
      event_type: 'NODE_CREATE',
      log_level: 'EventLogLevel.warning',
      alert: 'Yes',
      source: { node_id, user_id: null, nonsense: 1 },
      event_data: null,
      unknown_field: 1,
    })
    expect(event).toMatchObject({
      event_id: 'mine',
      event_type: 'node_create',
      log_level: 30,
      alert: true,
      event_data: null,
    })
    expect(event.source).toEqual({ node_id })
    expect(parseEvent({ log_level: '20' }).log_level).toBe(20)
    expect(parseEvent({ log_level: 20.0 }).log_level).toBe(20)
  })

  it('prefers _id, makes text of a numeric id and a new id for null', () => {
    expect(parseEvent({ _id: 'a', event_id: 'b' }).event_id).toBe('a')
    expect(parseEvent({ event_id: 12 }).event_id).toBe('12')
    expect(parseEvent({ event_id: null }).event_id).toHaveLength(26)
  })

  it('takes experiment_stop of old clients, who know no other name, as it is', () => {
    expect(parseEvent({ event_type: 'EXPERIMENT_STOP' }).event_type).toBe('experiment_stop')
  })

  it.each<[string, Value, string, unknown[]]>([
    ['no object', [1], 'model_attributes_type', ['body']],
    ['no body', null, 'missing', ['body']],
    ['a bad type', { event_type: 'nope' }, 'enum', ['body', 'event_type']],
    ['a bad level', { log_level: 15 }, 'enum', ['body', 'log_level']],
    ['WARN', { log_level: 'WARN' }, 'enum', ['body', 'log_level']],
    ['a bad boolean text', { alert: 'maybe' }, 'bool_parsing', ['body', 'alert']],
    ['2 as boolean', { alert: 2 }, 'bool_parsing', ['body', 'alert']],
    ['null as boolean', { alert: null }, 'bool_type', ['body', 'alert']],
    ['a bad time', { event_timestamp: 'x' }, 'datetime_from_date_parsing', ['body', 'event_timestamp']],
    ['no time', { event_timestamp: true }, 'datetime_type', ['body', 'event_timestamp']],
    ['a bad ULID', { source: { node_id: 'notulid' } }, 'value_error', ['body', 'source', 'node_id']],
    [
      'a lower-case ULID',
      { source: { node_id: node_id.toLowerCase() } },
      'value_error',
      ['body', 'source', 'node_id'],
    ],
    ['a number as trace id', { trace_id: 1 }, 'string_type', ['body', 'trace_id']],
    ['an object as id', { event_id: {} }, 'string_type', ['body', 'event_id']],
    ['an empty id', { _id: '' }, 'string_type', ['body', '_id']],
  ])('refuses %s', (_name, input, type, loc) => {
    expect(detailsOf(input)).toEqual([expect.objectContaining({ type, loc })])
  })

  it('reports all problems together, in the words of the original', () => {
    const details = detailsOf({ log_level: 15, source: { node_id: 'notulid' }, event_type: 'x' })
    expect(details.map((line) => line.loc.at(-1))).toEqual(['event_type', 'log_level', 'node_id'])
    expect(details[1]!.msg).toBe('Input should be 0, 10, 20, 30, 40 or 50')
    expect(details[2]!.msg).toBe('Value error, Invalid ULID notulid for field node_id')
  })
})
