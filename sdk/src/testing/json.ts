import { EventError } from '../event/error.ts'
import { isObject, type OtelScope, type Value } from '../event/event.ts'
import { parseJson } from '../event/json.ts'
import type { LogRecord } from '../event/record.ts'
import { type ScopeLogs, toInteger, toMembers } from './logs.ts'

type Members = { [key: string]: Value }

/** The same as JSON → the logs of each scope. Throws EVT_OTLP. */
export function decodeJson(bytes: Uint8Array): ScopeLogs[] {
  try {
    return listIn(toObject(parseJson(Buffer.from(bytes).toString())), 'resourceLogs').flatMap(
      (resourceLogs) => {
        const resource = readAttributes(objectIn(resourceLogs, 'resource'))
        return listIn(resourceLogs, 'scopeLogs').map((scopeLogs) => ({
          resource,
          scope: readScope(objectIn(scopeLogs, 'scope')),
          records: listIn(scopeLogs, 'logRecords').map(readRecord),
        }))
      },
    )
  } catch (cause) {
    throw new EventError('EVT_OTLP', undefined, { cause })
  }
}

function toObject(value: Value | undefined): Members {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw new TypeError('no object')
  return value
}

function objectIn(members: Members, name: string): Members {
  return toObject(members[name])
}

function listIn(members: Members, name: string): Members[] {
  const value = members[name] ?? []
  if (!Array.isArray(value)) throw new TypeError(`${name} is no array`)
  return value.map(toObject)
}

function textIn(members: Members, name: string): string {
  const value = members[name] ?? ''
  if (typeof value !== 'string') throw new TypeError(`${name} is no string`)
  return value
}

function integerIn(members: Members, name: string): bigint {
  return BigInt((members[name] ?? 0) as number | string)
}

function idIn(members: Members, name: string, length: number): string {
  const text = textIn(members, name).toLowerCase()
  return text.length === length && /[1-9a-f]/.test(text) ? text : ''
}

function readRecord(record: Members): LogRecord {
  const pairs = listIn(record, 'attributes').map(readPair)
  return {
    timeUnixNano: integerIn(record, 'timeUnixNano'),
    observedTimeUnixNano: integerIn(record, 'observedTimeUnixNano'),
    severityNumber: Number(integerIn(record, 'severityNumber')),
    severityText: textIn(record, 'severityText'),
    eventName: textIn(record, 'eventName'),
    body: record.body === undefined ? undefined : readAnyValue(objectIn(record, 'body')),
    keys: pairs.map(([key]) => key),
    values: pairs.map(([, value]) => value),
    droppedAttributesCount: Number(integerIn(record, 'droppedAttributesCount')),
    flags: Number(integerIn(record, 'flags')) & 0xff,
    traceId: idIn(record, 'traceId', 32),
    spanId: idIn(record, 'spanId', 16),
  }
}

function readScope(scope: Members): OtelScope {
  const attributes = readAttributes(scope)
  return {
    ...(textIn(scope, 'name') !== '' && { name: textIn(scope, 'name') }),
    ...(textIn(scope, 'version') !== '' && { version: textIn(scope, 'version') }),
    ...(Object.keys(attributes).length > 0 && { attributes }),
  }
}

function readAttributes(members: Members): Members {
  return toMembers(listIn(members, 'attributes').map(readPair))
}

function readPair(pair: Members): [string, Value] {
  return [textIn(pair, 'key'), readAnyValue(objectIn(pair, 'value'))]
}

function readAnyValue(value: Members): Value {
  if (value.stringValue !== undefined) return textIn(value, 'stringValue')
  if (value.boolValue !== undefined) return value.boolValue === true
  if (value.intValue !== undefined) return toInteger(integerIn(value, 'intValue'))
  if (value.doubleValue !== undefined) return Number(value.doubleValue)
  if (value.bytesValue !== undefined)
    return new Uint8Array(Buffer.from(textIn(value, 'bytesValue'), 'base64'))
  if (value.arrayValue !== undefined) return listIn(objectIn(value, 'arrayValue'), 'values').map(readAnyValue)
  if (value.kvlistValue !== undefined)
    return toMembers(listIn(objectIn(value, 'kvlistValue'), 'values').map(readPair))
  return null
}
