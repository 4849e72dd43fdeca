import { createReadStream } from 'node:fs'
import {
  type Event,
  fromDocument,
  fromExactJson,
  isObject,
  parseTimestamp,
  scanJson,
  setKey,
  type Value,
} from '@madsci-events/sdk/event'
import type { StoredEvent } from '../store/event-store.ts'
import { toEvent } from './export.ts'
import { createIdentity, type Identity } from './identity.ts'
import type { ImportChunk } from './import.ts'
import { splitKeyValues } from './key-value.ts'
import { readLines, tooLong } from './line.ts'

// Of a chunk, which is in memory at once: so many lines, or a few megabytes.
const chunkLines = 500
const chunkChars = 4 * 1024 * 1024
// As the bodies of the REST API.
const maxLineChars = 64 * 1024 * 1024
const maxValues = 4_000_000
const maxDepth = 1000

/** Stored events of another database or a backup. */
export async function* fromStored(chunks: AsyncIterable<StoredEvent[]>): AsyncGenerator<ImportChunk> {
  for await (const chunk of chunks)
    yield chunk.map((stored) => ({ event: toEvent(stored), where: stored.id }))
}

export interface TextLines {
  /** Takes the client's lines of text and of its JSON format as well: they have no id, so what had arrived before is then there twice. */
  text: boolean
  /** Told how far it is, with every chunk. */
  onRead?: (bytes: number) => void
}

/**
 * Lines of a file: NDJSON of `export`, or the log of MADSci's Python client, where typed events stand as JSON and messages
 * as text:
 *
 *     2026-11-24T13:46:09.460594Z [warning  ] three                 event_type=log_warning
 *     {"event_id":"01M8…","event_type":"node_start","log_level":20, …}
 *
 * A message of several lines goes on where a line begins with neither. With EVENT_CLIENT_LOG_OUTPUT_FORMAT=json, messages
 * stand as JSON, too:
 *
 *     {"tank": 1, "event_type": "log_info", "event": "full", "level": "info", "timestamp": "2026-11-24T13:46:09.460594Z"}
 */
export async function* fromLines(path: string, { text, onRead }: TextLines): AsyncGenerator<ImportChunk> {
  const input = createReadStream(path, { encoding: 'utf8' })
  let chunk: ImportChunk = []
  let chars = 0
  let number = 0
  const identify = createIdentity()
  // A line of text, whose message may go on.
  let open: { line: string; where: string } | undefined

  function add(line: string | typeof tooLong, where: string): void {
    const item = parseLine(line, text, identify)
    if (item === undefined) return
    chunk.push(typeof item === 'string' ? { refused: item, where } : { event: item, where })
    chars += line === tooLong ? 0 : line.length
  }

  function close(): void {
    if (open) add(withoutEndLines(open.line), open.where)
    open = undefined
  }

  for await (const line of readLines(input, maxLineChars)) {
    number++
    const where = `${path}:${number}`
    const isText = text && line !== tooLong && !line.startsWith('{')
    if (isText && open && !startPattern.test(line) && open.line.length + line.length < maxLineChars) {
      open.line += `\n${line}`
      continue
    }
    close()
    if (isText && startPattern.test(line)) open = { line, where }
    else add(line, where)
    if (chunk.length < chunkLines && chars < chunkChars) continue
    onRead?.(input.bytesRead)
    yield chunk
    chunk = []
    chars = 0
  }
  close()
  if (chunk.length > 0) yield chunk
}

function withoutEndLines(text: string): string {
  let end = text.length
  while (text[end - 1] === '\n') end--
  return text.slice(0, end)
}

// A time of today's form, and a level.
const startPattern = /^\d{4}-\d\d-\d\d[T ]\S{1,40}\s{1,9}\[\w/

/** Undefined for a line to be passed over, text for why it is refused. */
function parseLine(
  line: string | typeof tooLong,
  text: boolean,
  identify: Identity,
): Event | string | undefined {
  if (line === tooLong) return `longer than ${maxLineChars} characters`
  if (line.trim() === '') return undefined
  if (line.startsWith('{')) {
    try {
      const { values, depth } = scanJson(Buffer.from(line), { values: maxValues, depth: maxDepth })
      if (depth > maxDepth) return `nested deeper than ${maxDepth}`
      if (values > maxValues) return `more than ${maxValues} values`
      const document = fromExactJson(line)
      if (!isObject(document)) return 'no object'
      const { event_id: eventId, _id: id = eventId, ...fields } = document
      if (isClientMessage(document))
        return text
          ? toMessage(document, id ?? identify(line, document.timestamp))
          : 'a message without an id'
      if (typeof document.event_timestamp !== 'string') return 'no event_timestamp'
      return fromDocument({ _id: id ?? identify(line, document.event_timestamp), ...fields })
    } catch (error) {
      return `no JSON: ${(error as Error).message.slice(0, 200)}`
    }
  }
  if (!text) return 'a line of text, without an id'
  return parseTextLine(line, identify)
}

interface ClientMessage {
  timestamp: string
  level: string
  [name: string]: Value
}

/** What the client's JSON format makes of a message. */
const isClientMessage = (document: { [key: string]: Value }): document is ClientMessage =>
  document.event_timestamp === undefined &&
  typeof document.timestamp === 'string' &&
  typeof document.level === 'string' &&
  levelOf[document.level] !== undefined

function toMessage(
  { timestamp, level, event, event_type: type, alert, ...others }: ClientMessage,
  id: Value,
): Event | string {
  const time = parseTimestamp(timestamp)
  if ('reason' in time) return 'no time'
  return fromDocument({
    _id: id,
    event_type: typeof type === 'string' ? type : `log_${level}`,
    log_level: levelOf[level]!,
    alert: alert === true,
    event_timestamp: time.text,
    source: {},
    event_data: { message: event ?? null, ...others },
  })
}

const textLine = /^(\S+)\s+\[(\w+)\s*\]\s?(.*)$/s
const levelOf: { [name: string]: Event['log_level'] } = {
  debug: 10,
  info: 20,
  warning: 30,
  error: 40,
  critical: 50,
}

function parseTextLine(line: string, identify: Identity): Event | string {
  const [, stamp = '', levelName = '', rest = ''] = textLine.exec(line) ?? []
  const time = parseTimestamp(stamp)
  const level = levelOf[levelName]
  if ('reason' in time || level === undefined)
    return 'neither JSON nor a line of the log of the Python client'
  const { message, pairs } = splitKeyValues(rest)
  const data: { [key: string]: Value } = { message }
  for (const [key, value] of pairs) setKey(data, key, toValue(value))
  const { event_type: type, ...others } = data
  const alert = others.alert === true
  delete others.alert
  return fromDocument({
    _id: identify(line, time.text),
    event_type: typeof type === 'string' ? type : `log_${levelName}`,
    log_level: level,
    alert,
    event_timestamp: time.text,
    source: {},
    event_data: others,
  })
}

function toValue(text: string): Value {
  if (text === 'True') return true
  if (text === 'False') return false
  if (text === 'None') return null
  if (/^-?\d{1,15}(\.\d+)?$/.test(text)) return Number(text)
  return /^(['"]).*\1$/s.test(text) ? text.slice(1, -1) : text
}
