import { hash } from 'node:crypto'
import { type LogRecord, ulidFrom, type Value } from '@madsci-events/sdk/event'

/** Ids for the records of one request that bring none. */
export interface RecordIds {
  idOf(record: LogRecord, context: ContextText): string
}

/** What the records of a scope share, as text; `digest` is filled when it is first needed. */
export interface ContextText {
  readonly text: string
  digest?: string
}

/**
 * The id of a record without `log.record.uid`: the ULID of its own time and of a hash over all that it says, in its
 * resource and scope.
 *
 * Promises:
 *  1. A request sent again, in either encoding, gives the same ids.
 *  2. Equal records of one request get ids of their own: their number among the equal ones goes into the hash.
 *
 * The time of receipt must not go in. So a record that has no time at all (out of the ordinary: every OTel SDK and
 * Collector sets one) gets time 0 in its id, and an equal one in a later request counts as the same one sent again:
 * the two cannot be told apart, and the door says so in its answer.
 */
export function createRecordIds(): RecordIds {
  const countOf = new Map<string, number>()
  return {
    idOf(record, context) {
      context.digest ??= hash('sha256', context.text, 'hex')
      let digest = hash('sha256', context.digest + recordText(record), 'buffer')
      const key = digest.toString('latin1', 0, 16)
      const count = countOf.get(key) ?? 0
      countOf.set(key, count + 1)
      if (count > 0) digest = hash('sha256', `${key}#${count}`, 'buffer')
      const time = record.timeUnixNano || record.observedTimeUnixNano
      return ulidFrom(Number(time / 1_000_000n), digest)
    },
  }
}

/** Text that differs when the values differ: each part is marked by its kind, and texts by their length. */
export function canonicalText(value: Value | undefined): string {
  switch (typeof value) {
    case 'string':
      return `s${value.length}:${value}`
    case 'number':
      return Object.is(value, -0) ? 'n-0,' : `n${value},`
    case 'bigint':
      return `i${value},`
    case 'boolean':
      return value ? 't' : 'f'
    case 'undefined':
      return 'u'
  }
  if (value === null) return 'z'
  if (value instanceof Uint8Array) return `b${value.length}:${Buffer.from(value).toString('latin1')}`
  if (Array.isArray(value)) {
    let text = '['
    for (const member of value) text += canonicalText(member)
    return `${text}]`
  }
  let text = '{'
  for (const key of Object.keys(value)) text += `${key.length}:${key}${canonicalText(value[key])}`
  return `${text}}`
}

function recordText(record: LogRecord): string {
  const { keys, values } = record
  let text =
    `${record.timeUnixNano},${record.observedTimeUnixNano},${record.severityNumber},${record.flags},` +
    `${record.droppedAttributesCount},${record.traceId},${record.spanId},` +
    `${record.severityText.length}:${record.severityText}${record.eventName.length}:${record.eventName}` +
    canonicalText(record.body)
  for (let i = 0; i < keys.length; i++) text += `${keys[i]!.length}:${keys[i]}${canonicalText(values[i])}`
  return text
}
