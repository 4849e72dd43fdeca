import { createHash } from 'node:crypto'
import { type Event, type OtelScope, setKey, type Value } from '../event/event.ts'
import { ulidFrom } from '../event/id.ts'
import { toExactJson } from '../event/json.ts'
import { createRecordContext, fromRecord, type LogRecord } from '../event/record.ts'
import { nowMicros } from '../event/timestamp.ts'

/** The records of one scope, as either encoding of OTLP gives them. */
export interface ScopeLogs {
  resource: { [key: string]: Value }
  scope: OtelScope
  records: LogRecord[]
}

/** Records → events, as a receiver makes them. A record without an id gets one that is the same when it is sent again. */
export function toEvents(logs: ScopeLogs[]): Event[] {
  const receivedUnixNano = BigInt(nowMicros()) * 1000n
  return logs.flatMap(({ resource, scope, records }) => {
    const context = createRecordContext(resource, Object.keys(scope).length > 0 ? scope : undefined)
    const createId = (record: LogRecord, timeUnixNano: bigint) => {
      const { timeUnixNano: time, observedTimeUnixNano: observed, body, keys, values, ...rest } = record
      const text = toExactJson([
        String(time),
        String(observed),
        body ?? null,
        keys,
        values,
        rest as never,
        resource,
      ])
      const digest = createHash('sha256').update(text).digest()
      return ulidFrom(Number(timeUnixNano / 1_000_000n), digest)
    }
    return records.map((record) => fromRecord(record, { context, receivedUnixNano, createId }))
  })
}

/** Attributes as an object; of repeated keys the last wins. */
export function toMembers(pairs: [string, Value][]): { [key: string]: Value } {
  const members: { [key: string]: Value } = {}
  for (const [key, value] of pairs) setKey(members, key, value)
  return members
}

/** Integers that a number holds exactly are numbers. */
export function toInteger(value: bigint): number | bigint {
  const signed = BigInt.asIntN(64, value)
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed
}
