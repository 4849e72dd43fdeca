import { workerData } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import {
  type Event,
  EventError,
  fromDocument,
  fromExactJson,
  isObject,
  parseJson,
  type Value,
} from '@madsci-events/sdk/event'
import { toLogsDataText } from '../otlp/encode-json.ts'
import { encodeProtobuf } from '../otlp/encode-protobuf.ts'
import { groupRecords } from '../otlp/group.ts'
import { isCanaryId } from '../store/canary.ts'
import { openCommitReader } from '../store/commit-reader.ts'
import type { CommitReader, StoredEvent } from '../store/event-store.ts'
import { createMatcher, type MatchDocument, withDate } from '../store/matcher.ts'
import { parseSelector } from '../store/selector.ts'
import { yieldToOthers } from '../thread.ts'
import { answerCalls } from '../thread-call.ts'
import type { SpanName } from '../trace.ts'
import type { Batch, BatchRequest, BatchThreadData } from './batch.ts'
import type { Destination } from './destination.ts'

/**
 * The thread that makes requests of stored events: read, select, encode, compress. It keeps nothing between two of them,
 * and whoever waits for a commit goes first.
 */
// More than a query, for nobody waits for the answer.
yieldToOthers(15)
const { source, destinations, serviceName } = workerData as BatchThreadData

// A request's body before compression is about as large as the JSON of its events.
const batchCharacters = 4 * 1024 * 1024
// Others wait behind this destination, and nobody ends the thread.
const regexTimeoutMs = 100
const fastest = { level: 1 }
const maxSpans = 32

interface Maker {
  destination: Destination
  reader: CommitReader
  matches: ((document: MatchDocument) => boolean) | undefined
}

const makers: Maker[] = destinations.map((destination) => ({
  destination,
  reader: openCommitReader({ source, restOnly: destination.include === 'rest' }),
  matches:
    destination.selector === undefined
      ? undefined
      : createMatcher(parseSelector(destination.selector, { regexTimeoutMs })),
}))

answerCalls<BatchRequest, Batch>(async ({ index, cursor, limit }) => ({
  answer: await make(makers[index]!, cursor, limit),
}))

async function make({ destination, reader, matches }: Maker, cursor: string, limit: number): Promise<Batch> {
  const page = await reader.read(cursor, { limit, characters: batchCharacters })
  const events: Event[] = []
  for (const stored of page.events) {
    const document = toDocument(stored)
    if (!matches || isWanted(matches, document)) events.push(toEvent(stored, document))
  }
  const groups = groupRecords(events, { resource: { 'service.name': serviceName } })
  const isJson = destination.protocol === 'http/json'
  const plain =
    events.length === 0
      ? new Uint8Array()
      : isJson
        ? Buffer.from(toLogsDataText(groups))
        : encodeProtobuf(groups)
  return {
    body: destination.compression === 'gzip' && plain.length > 0 ? gzipSync(plain, fastest) : plain,
    eventCount: events.length,
    firstId: events[0]?.event_id ?? '',
    readCount: page.events.length,
    cursor: page.cursor,
    hasMore: page.hasMore,
    expiredCommits: page.expiredCommits,
    spans: spansOf(events),
    canaries: page.events.map(({ id }) => id).filter(isCanaryId),
  }
}

/** In the order of their first event. */
function spansOf(events: readonly Event[]): SpanName[] {
  const spans = new Map<string, SpanName>()
  for (const { trace_id: traceId, span_id: spanId } of events) {
    if (typeof traceId !== 'string' || typeof spanId !== 'string') continue
    if (!spans.has(traceId)) spans.set(traceId, { traceId, spanId })
    if (spans.size >= maxSpans) break
  }
  return [...spans.values()]
}

/** What cannot be judged in time is sent: nothing is left out for want of time. */
function isWanted(matches: NonNullable<Maker['matches']>, document: { [key: string]: Value }): boolean {
  try {
    return matches(withDate(document))
  } catch (error) {
    if (error instanceof EventError && error.code === 'EVT_QUERY_TIMEOUT') return true
    throw error
  }
}

/** A whole document is an event but for the name of its id; a copy of each would cost as much as parsing it. */
function toEvent({ id, partial }: StoredEvent, document: { [key: string]: Value }): Event {
  if (partial) return fromDocument(document)
  document.event_id = id
  return document as unknown as Event
}

function toDocument({ json, exact }: StoredEvent): { [key: string]: Value } {
  const document = exact === undefined ? parseJson(json) : fromExactJson(exact)
  return isObject(document) ? document : {}
}
