import { isObject, type ParseEventOptions, toJson, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EventStore } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import { type ExportFormat, exportFormats, toExport } from '../transfer/export.ts'
import { piecesOf, toStream } from './answer.ts'
import { type BodyOptions, hasBody, withSelectorBody } from './body.ts'
import { toExportName } from './export-name.ts'
import { exportSchemas } from './export-schema.ts'
import { findOptionsOf } from './find-options.ts'
import { createParameters } from './parameter.ts'
import { createFilterReader } from './selector.ts'

export interface ExportDoorOptions extends BodyOptions {
  store: EventStore
  queryTimeoutMs: number
  parse: ParseEventOptions
}

const types: { [format in ExportFormat]: [contentType: string, ending: string] } = {
  ndjson: ['application/x-ndjson', 'ndjson'],
  csv: ['text/csv; charset=utf-8', 'csv'],
  otlp: ['application/x-ndjson', 'otlp.jsonl'],
}

/** GET and POST /events/export: everything that a filter means, as a file, streamed. */
export function registerExport(app: FastifyInstance, options: ExportDoorOptions): void {
  const { store, queryTimeoutMs, parse } = options
  const selectorOptions = parse.fromNaive ? { fromNaive: parse.fromNaive } : {}
  const readFilter = createFilterReader(store, selectorOptions)

  async function send(request: FastifyRequest, reply: FastifyReply, body: Value): Promise<FastifyReply> {
    const parameters = createParameters(request.query)
    const format = parameters.choice('format', 'ndjson', exportFormats)
    const order = parameters.choice('order', 'newest', ['newest', 'oldest', 'none'] as const)
    const number = parameters.integer('number', 0, 0)
    const find = findOptionsOf(request, reply)
    const filter = await readFilter(parameters, find.client)
    const asked = parseSelector(body, selectorOptions)
    // Both were checked, the one with the other is larger than either.
    const selector = filter.selector
      ? parseSelector({ $and: [filter.selector.source, asked.source] as Value[] }, selectorOptions)
      : asked
    const query = { ...filter, selector, order, limit: number, offset: 0, timeoutMs: queryTimeoutMs }
    const [contentType, ending] = types[format]
    return sendText(reply, toExport(store.find(query, find), format), {
      'content-type': contentType,
      'content-disposition': `attachment; filename="${toExportName(filterOf(request.query, body), ending)}"`,
    })
  }

  app.get('/events/export', { schema: exportSchemas.get }, (request, reply) => send(request, reply, {}))
  app.post('/events/export', { schema: exportSchemas.post }, (request, reply) =>
    hasBody(request.headers)
      ? withSelectorBody(request, options, (body) => send(request, reply, body))
      : send(request, reply, {}),
  )
}

/** The parameters of a request, and the selector of its body. */
const filterOf = (query: unknown, body: Value): [string, string][] => [
  ...Object.entries(query as { [name: string]: unknown }).map(([name, value]): [string, string] => [
    name,
    String(value),
  ]),
  ...(isObject(body) && Object.keys(body).length > 0 ? [['selector', toJson(body)] as [string, string]] : []),
]

/** Throws what comes before the first text; later trouble cuts the connection, so that no one takes a part for the whole. */
async function sendText(
  reply: FastifyReply,
  texts: AsyncGenerator<string>,
  headers: { [name: string]: string },
): Promise<FastifyReply> {
  const first = await texts.next()
  // The head of a CSV file comes before the first event.
  const second = first.done ? first : await texts.next()
  async function* all() {
    try {
      for (let next = first; !next.done; next = next === first ? second : await texts.next())
        yield* piecesOf(next.value)
    } finally {
      await texts.return(undefined)
    }
  }
  return reply.headers(headers).send(toStream(all()))
}
