import { z } from 'zod'

/** GET /health. */
export const health = z.object({
  healthy: z.boolean(),
  description: z.string(),
  version: z.string(),
  db_connected: z.boolean(),
  total_events: z.int().nullable(),
  otel_enabled: z.boolean().nullable(),
  otel_exporter_type: z.string().nullable(),
  otel_endpoint: z.string().nullable(),
  conservation: z
    .object({
      checked: z.int().describe('own commits found again in the order of commit, once'),
      lost: z.int(),
      doubled: z.int(),
      unexpected: z.int(),
      late: z.int(),
      unaccounted: z.int().describe('received, and no outcome was counted'),
    })
    .optional()
    .describe('only when an event that was received is not accounted for: how many, since the start'),
  canary: z
    .object({
      sent: z.int(),
      lost: z.int().describe('stages that did not see a canary in time'),
      last: z
        .object({
          event_id: z.string(),
          at: z.string(),
          seconds: z.record(z.string(), z.number().nullable()).describe('by stage; null: lost'),
        })
        .nullable(),
    })
    .optional()
    .describe('with canary_interval_seconds alone, since the start'),
  backup: z
    .object({
      last_success: z.string().nullable().describe('when the newest was begun; null: there is none'),
      last_failure: z.object({ at: z.string(), reason: z.string() }).nullable().describe('since the start'),
    })
    .optional()
    .describe('with backup_enabled alone'),
  fanout: z
    .array(
      z.object({
        name: z.string(),
        state: z.enum(['forwarding', 'waiting', 'elsewhere']),
        lag_seconds: z.number().nullable().describe('null when another receiver forwards'),
        sent: z.int(),
        refused: z.int(),
      }),
    )
    .optional()
    .describe('with fan-out alone'),
  alerts: z
    .object({
      channels: z.array(z.string()),
      pending: z.int(),
      retrying: z.int(),
      failed: z.int(),
      stalled: z
        .object({ since: z.string(), reason: z.string() })
        .nullable()
        .describe('since when, and why, rules and messages do not go on'),
    })
    .nullable()
    .optional()
    .describe('messages about alerts: not delivered yet, of those tried in vain, given up'),
})
