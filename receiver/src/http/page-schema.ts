import { z } from 'zod'

/** Parameters of pages of events, and of searches. */

const searchTime = z
  .int()
  .min(0)
  .optional()
  .describe(
    'how long to look for the next 100 events (query_timeout_ms, which is also the most); what a search has found by then has x-scanned-to, and x-next-cursor to go on',
  )

export const paging = {
  cursor: z
    .string()
    .optional()
    .describe(
      'a page that costs the same at any depth: empty for the first, then what x-next-cursor said; without offset, number from 1 to 10,000',
    ),
  timeout_ms: searchTime,
}

export const queryPaging = {
  cursor: z
    .string()
    .optional()
    .describe('pages, newest first without order: empty for the first, then what x-next-cursor said'),
  timeout_ms: searchTime,
}
