import { type Event, fromDocument } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { createMatch } from '../../../receiver/src/alert/match.ts'
import { parseRules } from '../../../receiver/src/alert/rule.ts'

const event = (fields: object): Event =>
  fromDocument({ _id: 'e', event_timestamp: '2026-11-23T19:25:51.286773Z', ...fields } as never)
const rulesOf = (rules: object[]) =>
  parseRules({ alertLevel: 40, rules, quiet: [], maintenance: [], channels: [] }).rules

describe('what rules see in events', () => {
  it("MADSci's rule: at or above alert_level, or marked as alert, by type, node and workcell", () => {
    const match = createMatch(rulesOf([]))!
    const source = { node_id: 'N' }
    const found = match([
      event({ log_level: 30 }),
      event({ log_level: 40, event_type: 'log_error', source }),
      event({ log_level: 50, event_type: 'log_error', source }),
      event({ log_level: 40, event_type: 'node_error', source }),
      event({ log_level: 10, alert: true, event_data: { message: 'a' } }),
      event({ log_level: 10, alert: true, event_data: { message: 'b' } }),
    ])
    expect(found).toMatchObject([
      {
        rule: 'alert_level',
        kind: 'match',
        key: '["log_error","N",null]',
        level: 50,
        positions: [1, 2],
        labels: source,
      },
      { key: '["node_error","N",null]', positions: [3] },
      { key: '["unknown",null,null]', positions: [4], content: expect.any(String) },
      { key: '["unknown",null,null]', positions: [5], content: expect.any(String) },
    ])
    expect(found[2]!.content).not.toBe(found[3]!.content)
    expect(match([event({ log_level: 20 })])).toEqual([])
  })

  it('say whether they look into every event, for which no document is then made ahead', () => {
    const looks = (rules: object[]) => createMatch(rulesOf(rules))!.looksAtAll
    expect(looks([])).toBe(false)
    expect(looks([{ name: 'door', selector: { event_type: 'node_error' } }])).toBe(true)
    expect(looks([{ name: 'quiet', kind: 'silent', minutes: 5 }])).toBe(true)
  })

  it("an exporter's complaint raises no alert by its level, but by a rule that asks for it", () => {
    const complaint = (name: string, fields: object = {}) =>
      event({
        event_type: 'log_error',
        log_level: 40,
        event_data: {
          message: 'Failed to export metrics to localhost:4317, error code: StatusCode.UNAVAILABLE',
        },
        otel: { scope: { name } },
        ...fields,
      })
    const match = createMatch(rulesOf([]))!
    const python = 'opentelemetry.exporter.otlp.proto.grpc.exporter'
    expect(
      match([complaint(python), complaint('io.opentelemetry.exporter.internal.http.HttpExporter')]),
    ).toEqual([])
    expect(match([complaint('opentelemetry.exporterlike'), complaint('my_lab.arm')])).toMatchObject([
      { positions: [0, 1] },
    ])
    expect(match([complaint(python, { alert: true })])).toHaveLength(1)
    const asked = createMatch(rulesOf([{ name: 'export', selector: { 'otel.scope.name': python } }]))!
    expect(asked([complaint(python)])).toMatchObject([{ rule: 'export' }])
  })

  it('selectors and recoveries keep their order, and group by any path', () => {
    const match = createMatch(
      rulesOf([
        {
          name: 'alert_level',
          selector: { event_type: 'node_error', 'event_data.code': { $gt: 3 } },
          recovery: { event_type: 'node_start' },
          group_by: ['event_data.unit.name'],
        },
      ]),
    )!
    const at = (event_type: string, code = 5) =>
      event({ event_type, event_data: { code, unit: { name: 'x' } } })
    const found = match([
      at('node_error'),
      at('node_error', 1),
      at('node_start'),
      at('node_error'),
      at('node_error'),
    ])
    expect(found.map(({ kind, key, positions }) => [kind, key, positions])).toEqual([
      ['match', '["x"]', [0]],
      ['recover', '["x"]', [2]],
      ['match', '["x"]', [3, 4]],
    ])
  })

  it('keys with dots are reached, by selectors, recoveries and groups', () => {
    const match = createMatch(
      rulesOf([
        {
          name: 'alert_level',
          selector: { 'event_data.exception.type': 'ZeroDivisionError' },
          recovery: { 'otel.resource.service.name': 'fine' },
          group_by: ['event_data.exception.type', 'otel.resource.service.name'],
        },
      ]),
    )!
    const of = (service: string, type: string) =>
      event({
        event_data: { 'exception.type': type },
        otel: { resource: { 'service.name': service } },
      })
    const found = match([of('py', 'ZeroDivisionError'), of('fine', 'x'), of('py', 'x')])
    expect(found.map(({ kind, key }) => [kind, key])).toEqual([
      ['match', '["ZeroDivisionError","py"]'],
      ['recover', '["x","fine"]'],
    ])
  })

  it('steps and workflows, also where a Python program puts type and ids into event_data', () => {
    const match = createMatch(
      rulesOf([
        { name: 'alert_level', kind: 'slow_step', minutes: 5 },
        { name: 'late', kind: 'unfinished', by: '06:00', zone: 'Europe/Berlin' },
      ]),
    )!
    const found = match([
      event({ event_type: 'workflow_start', source: { workflow_id: 'W' } }),
      event({
        event_type: 'log_info',
        event_data: { event_type: 'workflow_step_start', workflow_id: 'W', step_id: 'S' },
      }),
      event({ event_type: 'workflow_step_failed', source: { workflow_id: 'W', step_id: 'S' } }),
      event({ event_type: 'log_info', event_data: { event_type: 'workflow_complete', workflow_id: 'W' } }),
    ])
    expect(found.map(({ rule, kind, key }) => [rule, kind, key])).toEqual([
      ['late', 'start', '["W"]'],
      ['alert_level', 'start', '["W","S"]'],
      ['alert_level', 'end', '["W","S"]'],
      ['alert_level', 'end', '["W"]'],
      ['late', 'end', '["W"]'],
    ])
    expect(found[0]!.timeMs).toBe(Date.parse('2026-11-23T19:25:51.286Z'))
  })

  it('signs of life come once a second for each node', () => {
    let nowMs = 0
    const match = createMatch(rulesOf([{ name: 'alert_level', kind: 'silent', minutes: 5 }]), {
      now: () => nowMs,
    })!
    const from = (node_id: string) => event({ source: { node_id } })
    expect(match([from('A'), from('B'), from('A')]).map(({ key }) => key)).toEqual(['["A"]', '["B"]'])
    nowMs = 900
    expect(match([from('A')])).toEqual([])
    nowMs = 1000
    expect(match([from('A'), event({})])).toMatchObject([{ kind: 'seen', key: '["A"]', positions: [0] }])
  })
})
