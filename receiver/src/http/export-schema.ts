import { z } from 'zod'
import { exportFormats } from '../transfer/export.ts'
import { schemas } from './schema.ts'

const { querystring, response } = schemas.getEvents
const { number: _, offset: __, cursor: ___, ...filters } = querystring.shape

const common = {
  querystring: z.object({
    ...filters,
    format: z
      .enum(exportFormats)
      .default('ndjson')
      .describe('ndjson: exact, for import; csv: for tables; otlp: lines of OTLP LogsData'),
    order: z.enum(['newest', 'oldest', 'none']).default('newest').describe('by event_timestamp'),
    number: z.int().min(0).default(0).describe('at most so many; 0 = no limit'),
  }),
  produces: ['application/x-ndjson', 'text/csv'],
  response: {
    200: z.string().describe('the file, streamed; an answer that is cut off is not whole'),
    400: response[400],
    422: response[422],
    503: response[503],
  },
}

export const exportSchemas = {
  get: {
    ...common,
    operationId: 'export_events',
    summary: 'All events of a filter as NDJSON, CSV or OTLP',
  },
  post: {
    ...common,
    operationId: 'export_events_of_selector',
    summary: 'The same, of those that a MongoDB selector matches too',
    body: z.record(z.string(), z.unknown()).nullish().describe('a MongoDB selector'),
  },
}
