import { parentPort, workerData } from 'node:worker_threads'
import {
  createZoneConverter,
  type Event,
  EventError,
  findDefect,
  isObject,
  parseEvent,
  toEventJson,
} from '@madsci-events/sdk/event'
import type { DocumentEncoder } from '../document/document-encoder.ts'
import { eventOf } from '../document/event-document.ts'
import { decodeJson } from '../otlp/json.ts'
import { decodeProtobuf } from '../otlp/protobuf.ts'
import { digestOf, type RequestIdentity } from '../otlp/record-id.ts'
import { yieldToOthers } from '../thread.ts'
import { boundJson, parseBytes } from './json-body.ts'
import { isSameContent } from './same-content.ts'
import type {
  UnpackAnswer,
  UnpackedPart,
  UnpackFailure,
  UnpackTask,
  UnpackWorkerData,
  Watcher,
} from './unpack-task.ts'

// What is large may wait: the thread that commits goes first.
yieldToOthers()
const { encoderHref, managerId, naiveTimezone, watch } = workerData as UnpackWorkerData
const { encodeDocument } = (await import(encoderHref)) as DocumentEncoder
const look = watch && ((await import(watch.href)) as Watcher).watch(watch.rules)
const parse = {
  managerId,
  ...(naiveTimezone !== undefined && { fromNaive: createZoneConverter(naiveTimezone) }),
}

// The other thread makes an object of each event: so many at a time hold it for some milliseconds.
const partEvents = 2000
const partBytes = 4 * 1024 * 1024
// An event may hold some 2 million.
const maxEventValues = 4_000_000

function createParts() {
  let documents: Uint8Array[] = []
  let size = 0
  let part = emptyPart()

  function send(): void {
    if (documents.length === 0) return
    const bytes = new Uint8Array(size)
    let at = 0
    for (const document of documents) {
      bytes.set(document, at)
      at += document.length
    }
    answer({ kind: 'part', part: { ...part, bytes } }, [bytes.buffer])
    documents = []
    size = 0
    part = emptyPart()
  }

  return {
    /** Why the event cannot be kept. */
    add(event: Event): string | undefined {
      const defect = findDefect(event)
      if (defect !== undefined) return defect
      const encoded = encodeDocument(event)
      if ('refused' in encoded) return encoded.refused
      const { document, exact } = encoded
      documents.push(document)
      size += document.length
      part.ends.push(size)
      if (exact) {
        documents.push(exact)
        size += exact.length
      }
      part.exactEnds.push(size)
      if (event.archived || event.archived_at !== null)
        part.archives.set(part.ids.length, { archived: event.archived, archived_at: event.archived_at })
      const seen = look?.(event)
      if (seen && seen.length > 0) part.sightings!.set(part.ids.length, seen)
      part.ids.push(event.event_id)
      part.types.push(event.event_type)
      part.levels.push(event.log_level)
      part.alerts.push(event.alert)
      part.times.push(event.event_timestamp)
      if (size >= partBytes || part.ids.length >= partEvents) send()
      return undefined
    },
    send,
  }
}

const emptyPart = (): UnpackedPart => ({
  bytes: new Uint8Array(0),
  ids: [],
  types: [],
  levels: [],
  alerts: [],
  times: [],
  ends: [],
  exactEnds: [],
  archives: new Map(),
  sightings: look && new Map(),
})

function answer(message: UnpackAnswer, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer)
}

type LogsTask = UnpackTask & { kind: 'logs' }
/** Digested, and waits for its identity. */
let digested: LogsTask | undefined

function run(task: UnpackTask): UnpackAnswer {
  if (task.kind === 'logs') {
    if (!task.isIdentified) return unpackLogs(task)
    digested = task
    return { kind: 'digest', digest: digestOf(task.bytes) }
  }
  if (task.kind === 'identity') {
    const body = digested!
    digested = undefined
    return unpackLogs(body, task.identity)
  }
  if (task.kind === 'event') return unpackEvent(task)
  const sentJson = Buffer.from(task.sentJson).toString()
  return { kind: 'compared', isSame: isSameContent(task.storedJson, sentJson, task.isTimed) }
}

function unpackLogs({ bytes, encoding, limits }: LogsTask, identity?: RequestIdentity): UnpackAnswer {
  const parts = createParts()
  const unkept = new Map<string, number>()
  const decode = encoding === 'json' ? decodeJson : decodeProtobuf
  const { events: _, ...decoded } = decode(bytes, {
    ...limits,
    ...(identity && { identify: () => identity }),
    onEvent(event) {
      const reason = parts.add(eventOf(event))
      if (reason !== undefined) unkept.set(reason, (unkept.get(reason) ?? 0) + 1)
    },
  })
  parts.send()
  for (const [reason, count] of unkept)
    decoded.refused.set(reason, (decoded.refused.get(reason) ?? 0) + count)
  // Each event was looked at.
  return { kind: 'logs', ...decoded, isSound: true }
}

function unpackEvent({ bytes, contentType }: UnpackTask & { kind: 'event' }): UnpackAnswer {
  boundJson(bytes, maxEventValues)
  const body = parseBytes(bytes, contentType)
  const parts = createParts()
  let event: Event
  try {
    event = parseEvent(body, parse)
  } catch (error) {
    return { kind: 'invalid', failure: toFailure(error) }
  }
  const reason = parts.add(event)
  if (reason !== undefined) return { kind: 'refused', reason }
  parts.send()
  const json = new TextEncoder().encode(toEventJson(event))
  return { kind: 'event', json, isTimed: isObject(body) && typeof body.event_timestamp === 'string' }
}

function toFailure(thrown: unknown): UnpackFailure {
  const error =
    thrown instanceof EventError ? thrown : new EventError('EVT_INTERNAL', String(thrown), { cause: thrown })
  const { code, message, detail } = error
  return { code, message, detail }
}

parentPort!.on('message', (task: UnpackTask) => {
  try {
    const last = run(task)
    answer(last, last.kind === 'event' ? [last.json.buffer] : [])
  } catch (error) {
    answer({ kind: 'failed', failure: toFailure(error) })
  }
})
