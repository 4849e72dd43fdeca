import {
  createRecordContext,
  type Event,
  EventError,
  type FromRecordOptions,
  fromRecord,
  type LogRecord,
  maxIdCharacters,
  type OtelScope,
  type RecordContext,
  setKey,
  takeDoubles,
  type Value,
} from '@madsci-events/sdk/event'
import type { DocumentWriter } from '../document/document-writer.ts'
import type { EventDocument, NewEvent } from '../document/event-document.ts'
import { createRecordIds, type Identify, type RecordIds } from './record-id.ts'
import { malformed } from './wire.ts'

export interface DecodeOptions {
  /** Time for records that have none, nanoseconds since 1970. */
  receivedUnixNano: bigint
  maxBodyBytes: number
  /** Records of one request, refused ones among them; 200,000 if not given. */
  maxRecords?: number
  /** Makes documents of events at once, where that is possible. */
  documents?: DocumentWriter | undefined
  /** Takes each event as soon as it is there: `events` then stays empty. */
  onEvent?: (event: NewEvent) => void
  /** Not given: the same bytes are the same request. */
  identify?: Identify
}

/** What a request came to. Without `documents` in the options there are events alone. events.length + the counts in `refused` = the records in it. */
export interface DecodedLogs<T extends NewEvent = Event> extends Reading {
  events: T[]
  /** Reason → number of records that could not be decoded though their neighbours could. */
  refused: Map<string, number>
  /** `madsci.source.*` values that are no ULID. */
  otherSourceCount: number
  /** Records without a time; theirs is that of receipt. */
  undatedCount: number
}

/** What a decoder says of a whole request when it has read it. */
export interface Reading {
  /** Attribute keys that came twice in their list; the last one counts. */
  duplicateKeyCount: number
  /** Trace and span ids that are none of OTLP's form, and so are left out. */
  unreadableIdCount: number
  /** Names that look like OTLP's and are not, at most ten: nobody read what they hold. */
  unreadNames: string[]
  /** Nothing in the request can make an event that a store cannot keep: no need to look at each for it. */
  isSound: boolean
}

export interface Resource {
  attributes: { [key: string]: Value }
  droppedAttributesCount: number
  schemaUrl: string
  /** Places of whole doubles among them. */
  doubles?: string[] | undefined
}

/** Where both decoders, protobuf and JSON, bring what they read, so that both end in the same events. */
export interface EventSink {
  /** Of records that bring none. */
  readonly ids: RecordIds
  /** Of the scope that is open; made with its first record. */
  readonly contextOf: () => RecordContext
  /** The document of a record of that scope; `doubles` are the places of whole doubles in the record. */
  take(document: EventDocument, doubles: string[] | undefined): void
  /** `defect`: why the records of the resource cannot be kept, '' when they can. */
  openResource(resource: Resource, defect: string): void
  /** The same of a scope. False when the records that follow are all refused, for its defect or its resource's. */
  openScope(scope: OtelScope, defect: string, doubles?: string[]): boolean
  /** Takes what it needs before it returns: the caller may use the record again. */
  add(record: LogRecord): void
  /** Counts a record that cannot be kept. */
  refuse(reason: string): void
  /** Counts a record that is none. */
  refuseMalformed(reason: string): void
  /** Throws EVT_OTLP when the request has records and every one is malformed: then it is no request for logs. */
  close(reading: Reading): DecodedLogs<NewEvent>
}

// A record of two bytes on the wire still becomes an event with its own memory.
const eventBytes = 512
const defaultMaxRecords = 200_000
const emptyRecord = 'an empty record'

export function createEventSink(bytes: Uint8Array, options: DecodeOptions): EventSink {
  const decoded: DecodedLogs<NewEvent> = {
    events: [],
    refused: new Map(),
    duplicateKeyCount: 0,
    unreadableIdCount: 0,
    unreadNames: [],
    otherSourceCount: 0,
    undatedCount: 0,
    isSound: true,
  }
  const ids = createRecordIds(bytes, options.identify)
  const noteOtherSource = () => {
    decoded.otherSourceCount++
  }
  let resource: Resource = { attributes: {}, droppedAttributesCount: 0, schemaUrl: '' }
  let resourceCharacters = 0
  let resourceContext: RecordContext | undefined
  let openedScope: OtelScope | undefined
  let scopeDoubles: string[] | undefined
  let context: RecordContext | undefined
  let contextCharacters = 0
  let resourceDefect = ''
  let contextDefect = ''
  let malformedReason = ''
  let hasOther = false
  // The records of a request may come to more than its body: a large resource is in every event again.
  let bytesLeft = options.maxBodyBytes * 4
  const { maxRecords = defaultMaxRecords, onEvent = (event) => void decoded.events.push(event) } = options
  let recordsLeft = maxRecords

  const recordOptions: FromRecordOptions = {
    receivedUnixNano: options.receivedUnixNano,
    createId: (record) => ids.idOf(record),
    onOtherSource: noteOtherSource,
  }

  // A resource may be large, and its scopes many and empty: nothing is made of it before there is a record.
  function contextOf(): RecordContext {
    if (context) return context
    if (resourceContext === undefined) {
      resourceContext = createRecordContext(resource.attributes, undefined, noteOtherSource)
      if (resource.schemaUrl !== '') resourceContext.resourceSchemaUrl = resource.schemaUrl
      if (resource.droppedAttributesCount !== 0)
        resourceContext.resourceDroppedAttributesCount = resource.droppedAttributesCount
    }
    context = { ...resourceContext, scope: openedScope }
    const doubles = [...(resource.doubles ?? []), ...(scopeDoubles ?? [])]
    if (doubles.length > 0) context.doubles = doubles.sort()
    recordOptions.context = context
    return context
  }

  function countRecord(): void {
    if (--recordsLeft < 0)
      throw new EventError(
        'EVT_TOO_LARGE',
        `The request holds more than ${maxRecords} records (max_request_records)`,
      )
  }

  function count(): void {
    countRecord()
    bytesLeft -= eventBytes + contextCharacters
    if (bytesLeft < 0) {
      throw new EventError(
        'EVT_TOO_LARGE',
        'The records of the request are too many, or their resource too large',
      )
    }
  }

  function countRefused(reason: string): void {
    countRecord()
    decoded.refused.set(reason, (decoded.refused.get(reason) ?? 0) + 1)
  }

  function refuse(reason: string): void {
    hasOther = true
    countRefused(reason)
  }

  return {
    ids,
    take(document, doubles) {
      hasOther = true
      bytesLeft -= charactersIn(doubles)
      count()
      onEvent(document)
    },
    contextOf,
    openResource(next, defect) {
      resource = next
      resourceDefect = defect && `a resource with ${defect}`
      resourceContext = undefined
      resourceCharacters = charactersOf(next.attributes) + next.schemaUrl.length + charactersIn(next.doubles)
    },
    openScope(scope, defect, doubles) {
      scopeDoubles = doubles
      contextDefect = resourceDefect || (defect && `a scope with ${defect}`)
      openedScope = Object.keys(scope).length > 0 ? scope : undefined
      context = undefined
      contextCharacters =
        resourceCharacters + charactersOf(scope as { [key: string]: Value }) + charactersIn(doubles)
      return contextDefect === ''
    },
    add(record) {
      if (contextDefect !== '') return refuse(contextDefect)
      if (isEmpty(record)) return refuse(emptyRecord)
      hasOther = true
      bytesLeft -= charactersIn(record.doubles)
      count()
      if (record.timeUnixNano === 0n && record.observedTimeUnixNano === 0n) decoded.undatedCount++
      contextOf()
      const event = fromRecord(record, recordOptions)
      if (event.event_id.length > maxIdCharacters) decoded.isSound = false
      onEvent(event)
    },
    refuse,
    refuseMalformed(reason) {
      malformedReason = reason
      countRefused(reason)
    },
    close(reading) {
      if (malformedReason !== '' && !hasOther) throw malformed(malformedReason)
      return Object.assign(decoded, reading, { isSound: decoded.isSound && reading.isSound })
    },
  }
}

/** About as many as the value has as JSON. */
function charactersOf(value: Value): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length + 3
  if (typeof value !== 'object' || value === null) return 6
  let sum = 2
  if (Array.isArray(value)) for (const member of value) sum += charactersOf(member)
  else for (const key of Object.keys(value)) sum += key.length + 4 + charactersOf(value[key]!)
  return sum
}

/** Of a resource or a scope: puts plain numbers in the place of whole doubles, and gives where. */
export function takeDoublesOf(
  reading: { hasWholeDoubles: boolean },
  attributes: { [key: string]: Value },
  place: string,
): string[] | undefined {
  if (!reading.hasWholeDoubles) return undefined
  reading.hasWholeDoubles = false
  return takeDoubles(attributes, place)
}

/** Puts plain numbers in the place of whole doubles, and notes where. */
export function takeDoublesOfRecord(record: LogRecord): void {
  const { keys, values, body } = record
  const attributes: { [key: string]: Value } = {}
  const last = new Map<string, number>()
  for (const [index, key] of keys.entries()) {
    setKey(attributes, key, values[index]!)
    last.set(key, index)
  }
  const parts: { [key: string]: Value } = body === undefined ? {} : { body }
  const places = [...(takeDoubles(parts, '') ?? []), ...(takeDoubles(attributes, '/attributes') ?? [])]
  record.body = parts.body
  // Of equal keys the last one is the event's attribute; the others stay what they are.
  record.values = keys.map((key, index) =>
    last.get(key) === index ? attributes[key]! : withoutWholeDoubles(values[index]!),
  )
  if (places.length > 0) record.doubles = places
}

function withoutWholeDoubles(value: Value): Value {
  const one: { [key: string]: Value } = { value }
  takeDoubles(one, '')
  return one.value!
}

const charactersIn = (places: string[] | undefined) => (places ? charactersOf(places) : 0)

/** It says nothing, not even when. */
function isEmpty(record: LogRecord): boolean {
  return (
    (record.body === undefined || record.body === null) &&
    record.keys.length === 0 &&
    record.timeUnixNano === 0n &&
    record.observedTimeUnixNano === 0n &&
    record.severityNumber === 0 &&
    record.severityText === '' &&
    record.eventName === '' &&
    record.traceId === '' &&
    record.spanId === ''
  )
}

/** How many values (attributes, members, list entries) a request may hold: each takes some 64 bytes when decoded. */
export function maxValuesOf(options: DecodeOptions): number {
  return Math.max(65536, options.maxBodyBytes >>> 4)
}

export function tooManyValues(): EventError {
  return new EventError('EVT_TOO_LARGE', 'The request holds too many values')
}

/** Counts the keys that come again later in the list. */
export function countDuplicates(keys: readonly string[]): number {
  const length = keys.length
  if (length > 16) return length - new Set(keys).size
  let count = 0
  for (let i = 1; i < length; i++) {
    const key = keys[i]
    for (let j = 0; j < i; j++) {
      if (keys[j] === key) {
        count++
        break
      }
    }
  }
  return count
}
