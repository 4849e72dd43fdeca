import {
  type Detail,
  invalid,
  isObject,
  maxIdCharacters,
  missing,
  type ParseEventOptions,
  parseTimestamp,
  type Value,
} from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Ingest } from '../ingest/ingest.ts'
import type { Log } from '../log.ts'
import type { EventStore } from '../store/event-store.ts'
import { sendEvents } from './answer.ts'
import { withBody } from './body.ts'
import { toWholeJson } from './event.ts'
import { findOptionsOf } from './find-options.ts'
import { createParameters } from './parameter.ts'
import { inNamesOf } from './release.ts'
import { schemas } from './schema.ts'

export interface ArchiveDoorOptions {
  ingest: Ingest
  store: EventStore
  log: Log
  maxBodyBytes: number
  queryTimeoutMs: number
  archiveBatchSize: number
  parse: ParseEventOptions
}

const maxBatchSize = 100_000
const maxDays = 1_000_000

/** MADSci's archive: POST /events/archive, GET and DELETE /events/archived. */
export function registerArchive(app: FastifyInstance, options: ArchiveDoorOptions): void {
  const { store, log, queryTimeoutMs, archiveBatchSize, parse } = options

  app.post('/events/archive', { schema: schemas.archiveEvents }, (request, reply) =>
    withBody(request, options, async (body) => {
      const { ids, before, batchSize } = parseArchive(body, parse)
      const selection = ids && ids.length > 0 ? { ids: ids.filter(canBeStored) } : { before: before! }
      const options = { batchSize: boundBatch(batchSize ?? archiveBatchSize, ids) }
      const count = await sum(store.archive(selection, options))
      log.info({ count }, 'events were archived')
      return reply.header('content-type', 'application/json').send(
        JSON.stringify({
          archived_count: count,
          message: `Successfully archived ${count} events`,
        }),
      )
    }),
  )

  app.get('/events/archived', { schema: schemas.getArchived }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const number = parameters.integer('number', 100, 0)
    const offset = parameters.integer('offset', 0, 0)
    parameters.check()
    const query = {
      archived: 'only',
      order: 'newest',
      limit: number,
      offset,
      timeoutMs: queryTimeoutMs,
    } as const
    return sendEvents(reply, store.find(query, findOptionsOf(request, reply)), {
      toText: inNamesOf(request, toWholeJson),
    })
  })

  app.delete('/events/archived', { schema: schemas.purgeArchived }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const days = parameters.integer('older_than_days', 365, 0, maxDays)
    parameters.check()
    // What was archived in this very millisecond is archived by now.
    const beforeMs = Date.now() - days * 86_400_000 + (days === 0 ? 1 : 0)
    const count = await sum(store.purge(beforeMs, { batchSize: archiveBatchSize }))
    log.info({ count, days }, 'archived events were deleted')
    return reply.header('content-type', 'application/json').send(
      JSON.stringify({
        deleted_count: count,
        // What MADSci's command line prints.
        purged_count: count,
        message: `Permanently deleted ${count} archived events older than ${days} days`,
      }),
    )
  })
}

const canBeStored = (id: string) => id.length <= maxIdCharacters && id.isWellFormed()

/** Ids of one command together: MongoDB takes 16 MB. */
const maxIdsCharacters = 4 * 1024 * 1024

function boundBatch(batchSize: number, ids: readonly string[] = []): number {
  const longest = ids.reduce((most, id) => Math.max(most, id.length), 1)
  return Math.min(batchSize, Math.max(1, Math.floor(maxIdsCharacters / Math.min(longest, maxIdCharacters))))
}

async function sum(counts: AsyncIterable<number>): Promise<number> {
  let total = 0
  for await (const count of counts) total += count
  return total
}

interface Archive {
  ids: string[] | undefined
  before: string | undefined
  batchSize: number | undefined
}

// An answer that is many times its request helps nobody.
const maxDetails = 100

/** Throws EVT_INVALID with every problem, and the first hundred ids that are none, in the original's words. */
function parseArchive(body: Value, { fromNaive }: ParseEventOptions): Archive {
  if (body === null) throw invalid([missing(['body'])])
  if (!isObject(body)) {
    const msg = 'Input should be a valid dictionary or object to extract fields from'
    throw invalid([{ type: 'model_attributes_type', loc: ['body'], msg, input: body }])
  }
  const details: Detail[] = []
  const fail = (type: string, loc: (string | number)[], msg: string, input: Value, ctx?: Detail['ctx']) =>
    details.push({ type, loc: ['body', ...loc], msg, input, ...(ctx && { ctx }) })
  const { event_ids: ids = null, before_date: date = null, batch_size: size = null } = body
  if (ids !== null && !Array.isArray(ids))
    fail('list_type', ['event_ids'], 'Input should be a valid list', ids)
  if (Array.isArray(ids)) {
    for (let index = 0; index < ids.length && details.length < maxDetails; index++) {
      const id = ids[index]!
      if (typeof id !== 'string')
        fail('string_type', ['event_ids', index], 'Input should be a valid string', id)
    }
  }
  let before: string | undefined
  if (date !== null) {
    const parsed = parseTimestamp(date)
    if ('text' in parsed)
      before = fromNaive && !parsed.text.endsWith('Z') ? fromNaive(parsed.text) : parsed.text
    else {
      const msg = `Input should be a valid datetime or date, ${parsed.reason}`
      fail('datetime_from_date_parsing', ['before_date'], msg, date, { error: parsed.reason })
    }
  }
  const number = typeof size === 'string' && /^-?\d{1,9}$/.test(size) ? Number(size) : size
  if (number !== null && !Number.isInteger(number)) {
    const isText = typeof size === 'string'
    const reason = isText ? ', unable to parse string as an integer' : ''
    fail(
      isText ? 'int_parsing' : 'int_type',
      ['batch_size'],
      `Input should be a valid integer${reason}`,
      size,
    )
  } else if (number !== null && (number as number) < 1) {
    const msg = 'Input should be greater than or equal to 1'
    fail('greater_than_equal', ['batch_size'], msg, size, { ge: 1 })
  } else if (number !== null && (number as number) > maxBatchSize) {
    const msg = `Input should be less than or equal to ${maxBatchSize}`
    fail('less_than_equal', ['batch_size'], msg, size, { le: maxBatchSize })
  }
  if (details.length === 0 && before === undefined && (!Array.isArray(ids) || ids.length === 0))
    fail('value_error', [], 'Value error, Either event_ids or before_date must be provided', body, {
      error: {},
    })
  if (details.length > 0) throw invalid(details)
  return {
    ids: (ids as string[] | null) ?? undefined,
    before,
    batchSize: (number as number | null) ?? undefined,
  }
}
