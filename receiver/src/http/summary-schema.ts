import { z } from 'zod'
import { facetNames } from '../store/summary.ts'
import { schemas } from './schema.ts'

const { querystring, response } = schemas.getEvents
const { number: _, offset: __, cursor: ___, ...filters } = querystring.shape

const facet = z.object({
  values: z.array(
    z.object({
      id: z.string().nullable(),
      name: z.string().nullable(),
      count: z.int(),
      q: z.string().describe('the term of the search line that finds them'),
    }),
  ),
  distinct: z.int().describe('different values, listed or not; 10,000 at most are told apart'),
  other: z.int().describe('events of the values that are not listed'),
})

export const summarySchema = {
  operationId: 'summarize_events',
  summary:
    'What the events of a filter are together: a histogram by level, and how many are of what, by name',
  querystring: z.object({
    ...filters,
    buckets: z
      .int()
      .min(1)
      .max(1000)
      .default(120)
      .describe(
        'at most so many pieces of time; their width is the narrowest of 1 ms … 1 s, 5 s … 1 h … 1 d … that fits',
      ),
    values: z.int().min(0).max(1000).default(10).describe('of each facet, the most frequent'),
    timeout_ms: z
      .int()
      .optional()
      .describe('ends after so long with what it has (query_timeout_ms, which is also the most)'),
  }),
  response: {
    200: z.object({
      total: z.int(),
      histogram: z.object({
        from: z.string().nullable(),
        until: z.string().nullable(),
        bucket_ms: z.int(),
        buckets: z.array(
          z.object({
            start_time: z.string(),
            total: z.int(),
            levels: z.record(z.string(), z.int()),
          }),
        ),
      }),
      facets: z.object(Object.fromEntries(facetNames.map((name) => [name, facet]))),
      scanned_to: z.string().nullable().describe('time of the oldest event that was looked at'),
      complete_since: z
        .string()
        .nullable()
        .describe(
          'not complete: later events are counted, all of them; null with is_complete false: none is sure',
        ),
      is_complete: z.boolean().describe('whether all events of the filter are counted'),
    }),
    400: response[400],
    422: response[422],
    503: response[503],
  },
}
