import { z } from 'zod'

const time = z.union([z.string(), z.number()])
const detail = z.object({ detail: z.unknown() })

const reportQuery = {
  start_time: time
    .optional()
    .describe('ISO 8601; without a zone of its own, in that of `zone`. Alone: a day from there'),
  end_time: time.optional().describe('alone: a day up to there. Neither: from the first event to the last'),
  zone: z.string().default('UTC').describe('IANA zone of bounds without one, of buckets, and of the answer'),
  format: z.enum(['json', 'csv', 'ndjson']).default('json').describe('of the answer'),
  node_id: z.string().optional().describe('of this node alone'),
  workcell_id: z.string().optional().describe('of this workcell alone'),
  user: z.string().optional().describe('author of workflows, or user_id'),
  experiment_id: z.string().optional().describe('of this experiment alone'),
  workflow_id: z.string().optional().describe('the workflow, its steps and its actions'),
}
const reportResponse = {
  200: z.record(z.string(), z.unknown()).describe('in the format that was asked for'),
  400: detail,
  422: detail,
  503: detail.describe('Try again after Retry-After seconds'),
}

/** What the exact reports of utilization take, for the OpenAPI document; timeline/parameter.ts checks it. */
export const timelineSchemas = {
  timeline: {
    operationId: 'get_utilization_timeline',
    summary:
      'Who was in which state when, exactly, with the events that began and ended it: labs, workcells, nodes, campaigns, experiments, workflows, steps and actions',
    querystring: z.object({
      ...reportQuery,
      format: z
        .enum(['json', 'csv', 'ndjson', 'columns'])
        .default('json')
        .describe('columns: JSON in few characters, up to 200,000 intervals'),
      resolution_us: z
        .int()
        .min(1)
        .optional()
        .describe('with columns: shorter intervals that follow one another are given as one'),
      kind: z.string().optional().describe('of these kinds alone, by commas'),
      limit: z
        .int()
        .min(1)
        .max(10_000)
        .optional()
        .describe('intervals at most; 1000 in JSON, all in CSV and NDJSON'),
      cursor: z.string().optional().describe('what next_cursor said, for the next page in JSON'),
    }),
    response: reportResponse,
  },
  summary: {
    operationId: 'get_utilization_summary',
    summary: 'Utilization, availability, failures, queue and run times of nodes, workcells, users, …',
    querystring: z.object({
      ...reportQuery,
      by: z
        .enum(['node', 'workcell', 'lab', 'user', 'experiment', 'workflow_type'])
        .default('node')
        .describe('one row for each of these'),
      bucket: z.enum(['hour', 'day', 'week', 'month']).optional().describe('figures for each of them too'),
      fields: z
        .string()
        .optional()
        .describe('of JSON these members alone, by commas; of buckets as `buckets.utilization_percent`'),
    }),
    response: reportResponse,
  },
  waits: {
    operationId: 'get_utilization_waits',
    summary: 'The gaps in which workflows and steps waited, the longest first, and for what',
    querystring: z.object({
      ...reportQuery,
      limit: z
        .int()
        .min(1)
        .max(10_000)
        .optional()
        .describe('waits at most; 100 in JSON, all in CSV and NDJSON'),
    }),
    response: reportResponse,
  },
  compare: {
    operationId: 'get_utilization_comparison',
    summary:
      "Where the original's report of sessions and the exact engine differ: by how much, why, by which events",
    querystring: z.object({
      ...reportQuery,
      limit: z.int().min(1).max(10_000).optional().describe('rows at most, in CSV and NDJSON'),
    }),
    response: reportResponse,
  },
}
