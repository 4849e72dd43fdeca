import type { Event, Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { makeEvent } from '../contract/event-store.contract.ts'
import { createRandom } from './workload.ts'

/** Ids and names that occur. */
export const ids = ['01ARZ3NDEKTSV4RRFFQ69G5FA0', '01ARZ3NDEKTSV4RRFFQ69G5FA1', '01ARZ3NDEKTSV4RRFFQ69G5FA2']
const names = ['robot-arm', 'oven', 'é"\\']
/** Events that say in many shapes what they are about. */
export function makeIdEvents(from: number, count: number): Event[] {
  const random = createRandom(from)
  const one = <Item>(list: readonly Item[]): Item => list[Math.floor(random() * list.length)]!
  return Array.from({ length: count }, (_, index) => {
    const second = Math.floor(random() * 60)
    // Mostly in the order of time; some come hours late, and some times are the same.
    const minute = random() < 0.1 ? Math.floor(random() * 60) : Math.floor(((from + index) / 4000) * 60)
    const time = `2026-01-01T10:${String(minute).padStart(2, '0')}:${String(second).padStart(2, '0')}.000000`
    const data: Value[] = [
      { workflow_id: one(ids) },
      { workflow_id: [one(ids), 'x'] },
      [{ workflow_id: one(ids) }],
      { node_info: { node_name: one(names) } },
      { 'node_info.node_name': one(names), big: 2n ** 60n },
      { name: one(names), node_id: Number.NaN },
      'text',
    ]
    return makeEvent(`p${from + index}`, {
      event_timestamp: random() < 0.5 ? time : `${time}Z`,
      source: random() < 0.3 ? {} : { workflow_id: one(ids), node_id: one(ids) },
      event_data: one(data),
      log_level: random() < 0.5 ? 20 : 40,
      trace_id: random() < 0.1 ? `${from + index}`.padStart(32, '0') : null,
      ...(random() < 0.3 && {
        otel: {
          resource: random() < 0.5 ? { 'service.name': one(names) } : { service: { name: one(names) } },
        },
      }),
    })
  })
}

const path = fc.constantFrom(
  'source.workflow_id',
  'source.node_id',
  'event_data.workflow_id',
  'event_data.node_info.node_name',
  'event_data.name',
  'trace_id',
  'otel.resource.service.name',
)
const value = fc.constantFrom<Value[]>(...ids, ...names, 'x', '1'.padStart(32, '0'), null)
const field: fc.Arbitrary<Value> = fc.oneof(
  fc.tuple(path, value).map(([name, one]) => ({ [name]: one })),
  fc.tuple(path, fc.array(value, { maxLength: 3 })).map(([name, list]) => ({ [name]: { $in: list } })),
)
const selector: fc.Arbitrary<Value> = fc.oneof(
  { weight: 3, arbitrary: field },
  fc.array(field, { minLength: 1, maxLength: 3 }).map(($or) => ({ $or })),
  fc.array(field, { minLength: 1, maxLength: 3 }).map(($and) => ({ $and })),
  fc.tuple(field, field).map(([one, other]) => ({ $and: [one], $nor: [other] })),
)
const time = fc.option(
  fc
    .integer({ min: 0, max: 59 })
    .map((minute) => `2026-01-01T10:${String(minute).padStart(2, '0')}:30.000000`),
  { nil: undefined },
)
/** Questions by id. */
export const idQuery = fc.record({
  selector,
  order: fc.constantFrom('newest', 'oldest', 'none'),
  startTime: time,
  upTo: time,
  minLevel: fc.constantFrom(0, 30),
  limit: fc.constantFrom(0, 7),
  offset: fc.constantFrom(0, 3),
  archived: fc.constantFrom('include', 'exclude', 'only'),
})
