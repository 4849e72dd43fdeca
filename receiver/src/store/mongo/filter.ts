import { EventError, isObject, setKey, type Value } from '@madsci-events/sdk/event'
import { Binary, BSON, type Document, Long } from 'mongodb'
import { canaryEnd, canaryMark, canaryType, showsCanaries } from '../canary.ts'
import type { FindQuery } from '../event-store.ts'
import { toKeyLists } from '../id-key.ts'
import type { Selector } from '../selector.ts'
import type { SummaryOptions } from '../summary.ts'
import { toHighestText, toLowestText } from '../time-text.ts'
import { toServerFilter } from './dotted.ts'
import type { IdQuestion } from './posting-reader.ts'
import type { ScanWindows } from './window-cursor.ts'

/** A query as the worker takes it: everything that MongoDB must know, as BSON. */
export interface FindCommand {
  filter: Uint8Array
  /** A normalised selector that the events must match beside that; undefined when the filter says it all. */
  selector: Selector['source'] | undefined
  sort: [string, 1 | -1] | undefined
  limit: number
  offset: number
  timeoutMs: number
  /** Reads from the primary, whatever the URL prefers. */
  isFresh: boolean
  /** Given: the index of ids may narrow it. */
  ids?: IdQuestion
  /** Given: it is read in windows of time, so that it can be told how far it came. */
  windows?: ScanWindows
  /** Given: the events are summed up, and parts of the sum come in their place. */
  summary?: SummaryOptions
}

/** Values → what the driver writes as the same BSON that encode.ts would. */
export function toBson(value: Value): unknown {
  if (typeof value === 'bigint') return Long.fromBigInt(value)
  if (value instanceof Uint8Array) return new Binary(value)
  if (Array.isArray(value)) return value.map(toBson)
  if (isObject(value)) {
    const document: { [key: string]: Value } = {}
    for (const key of Object.keys(value)) setKey(document, key, toBson(value[key]!) as Value)
    return document
  }
  return value
}

/** Throws EVT_SELECTOR for a selector that BSON cannot carry. */
export function toFindCommand(query: FindQuery, isFresh = false): FindCommand {
  const { limit, offset, timeoutMs, order } = query
  const stamp = query.archived === 'only' && order === 'newest' ? 'archived_at' : 'event_timestamp'
  const asked = query.selector && toServerFilter(query.selector.source)
  try {
    return {
      filter: BSON.serialize(toFilter(query, asked?.filter)),
      selector: asked?.isExact === false ? query.selector!.source : undefined,
      sort: order === 'none' ? undefined : [stamp, order === 'newest' ? -1 : 1],
      limit,
      offset,
      timeoutMs,
      isFresh,
      ...toIdQuestion(query),
    }
  } catch (cause) {
    throw new EventError('EVT_SELECTOR', undefined, { cause })
  }
}

function toIdQuestion(query: FindQuery): Pick<FindCommand, 'ids'> {
  const { selector, archived, startTime, endTime, from, upTo } = query
  // What promises no order comes in that of time.
  const order = query.order === 'newest' ? 'newest' : 'oldest'
  const lists = selector ? toKeyLists(selector.conditions) : []
  if (lists.length === 0 || (archived === 'only' && order === 'newest')) return {}
  const isWithin = {
    ...(startTime !== undefined && { startTime }),
    ...(endTime !== undefined && { endTime }),
    ...(from !== undefined && { from }),
    ...(upTo !== undefined && { upTo }),
  }
  return { ids: { lists, order, isWithin } }
}

// A type has no index, so that of the ids is not thought of, which would read all documents in their order.
const noCanary = {
  $or: [{ event_type: { $ne: canaryType } }, { _id: { $lt: canaryMark } }, { _id: { $gte: canaryEnd } }],
}

/** Undefined for what is read quickly, and in another order than that of time. */
export function toWindows(query: FindQuery): ScanWindows | undefined {
  const { order, archived, selector } = query
  if (order === 'none' || !selector || (archived === 'only' && order === 'newest')) return undefined
  if (namesIndexed(selector.source)) return undefined
  const { $gte: least, $lte: most } = toTimeRange(query)
  return { order, ...(least !== undefined && { least }), ...(most !== undefined && { most }) }
}

const indexed = ['_id', 'log_level', 'event_timestamp']

/** Whether MongoDB's own index of a member leads to the events, of which windows of time would read more. */
function namesIndexed(source: Document): boolean {
  return Object.entries(source).some(([path, value]) =>
    path === '$and' ? (value as Document[]).some(namesIndexed) : indexed.includes(path),
  )
}

interface TimeRange {
  $gte?: string
  $lte?: string
}

function toTimeRange(query: FindQuery): TimeRange {
  const range: TimeRange = {}
  if (query.startTime !== undefined) range.$gte = toLowestText(query.startTime)
  if (query.endTime !== undefined) range.$lte = toHighestText(query.endTime)
  if (query.from !== undefined && !(range.$gte !== undefined && range.$gte > query.from))
    range.$gte = query.from
  if (query.upTo !== undefined && !(range.$lte !== undefined && range.$lte < query.upTo))
    range.$lte = query.upTo
  return range
}

function toFilter(query: FindQuery, selector: { [key: string]: Value } | undefined): Document {
  const parts: Document[] = []
  if (selector) parts.push(toBson(selector) as Document)
  if (query.minLevel !== undefined && query.minLevel > 0) parts.push({ log_level: { $gte: query.minLevel } })
  const range = toTimeRange(query)
  if (Object.keys(range).length > 0) parts.push({ event_timestamp: range })
  if (query.archived === 'exclude') parts.push({ archived: { $ne: true } })
  else if (query.archived === 'only') parts.push({ archived: true })
  if (!showsCanaries(query)) parts.push(noCanary)
  return parts.length === 0 ? {} : parts.length === 1 ? parts[0]! : { $and: parts }
}
