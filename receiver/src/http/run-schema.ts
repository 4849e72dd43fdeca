import { z } from 'zod'

const detail = z.object({ detail: z.unknown() })
const answer = z.record(z.string(), z.unknown())

/** What the routes of runs take and answer, for the OpenAPI document; run-answer.ts has the answers whole. */
export const runSchemas = {
  runs: {
    operationId: 'get_runs',
    summary: 'Experiments and workflows with their outcome and times, newest first; a page for browsers',
    querystring: z.object({
      start_time: z.string().optional().describe('those that had not ended by then; not set: all'),
      number: z.int().min(1).max(1000).default(200).describe('at most so many'),
    }),
    response: { 200: answer, 422: detail, 503: detail },
  },
  run: {
    operationId: 'get_run',
    summary:
      'One experiment or workflow: outcome, timeline, failures with the events before, waits, numbers, people, alerts, events; a page for browsers',
    params: z.object({
      kind: z.enum(['experiment', 'workflow']).describe('what the id is of'),
      id: z.string().describe('experiment_id or workflow_id'),
    }),
    response: { 200: answer, 404: detail, 422: detail, 503: detail },
  },
}
