import { z } from 'zod'
import { alertStates, deliveryStates } from '../store/alert-store.ts'

/** What the routes of alerts take and answer, for the OpenAPI document; http/alert.ts reads by hand. */

const time = z.string().nullable()
const detail = z.object({ detail: z.unknown() })
const ids = z.array(z.string())

const alert = z
  .object({
    alert_id: z.string(),
    rule: z.string(),
    kind: z.string(),
    key: z.string().describe('the group within the rule, as JSON'),
    group: z.record(z.string(), z.string().nullable()),
    state: z.enum(alertStates),
    why: z.string(),
    log_level: z.int().describe('the greatest'),
    source: z.record(z.string(), z.string()),
    count: z.int().describe('events so far'),
    repeats: z.int().describe('of them, those that said the same within 10 s; told by the first'),
    suppressed: z.int().describe('events in a maintenance window, beside count'),
    pending: z.int().describe('events that no message has told yet'),
    opened_at: time,
    updated_at: time,
    last_event_at: time,
    first_event_ids: ids,
    last_event_id: z.string().nullable(),
    acknowledged_at: time,
    acknowledged_by: z.string().nullable(),
    silenced_until: time,
    resolved_at: time,
    resolution: z.string().nullable(),
    notices: z.array(z.object({ kind: z.string(), at: time, count: z.int() })),
    deliveries: z.array(
      z.object({
        delivery_id: z.string(),
        channel: z.string(),
        target: z.string(),
        state: z.enum(deliveryStates),
        attempts: z.int(),
        error: z.string().nullable(),
        created_at: time,
        next_attempt_at: time,
        settled_at: time,
      }),
    ),
  })
  .meta({ id: 'Alert' })

const params = z.object({ alert_id: z.string().describe('the id of the alert') })
const answers = { 200: alert, 404: detail, 422: detail, 503: detail }
const by = z.string().nullish().describe('who')

export const schemas = {
  getAlerts: {
    operationId: 'get_alerts',
    summary: 'Alerts, newest first; x-next-cursor leads to the next page',
    querystring: z.object({
      number: z.int().min(1).max(1000).default(100).describe('at most so many'),
      state: z.enum(alertStates).optional().describe('in this state alone'),
      rule: z.string().optional().describe('of this rule alone'),
      key: z.string().optional().describe('of this group within the rule, as JSON'),
      cursor: z.string().optional().describe('what x-next-cursor said'),
    }),
    response: { 200: z.array(alert), 404: detail, 422: detail, 503: detail },
  },
  getAlert: {
    operationId: 'get_alert',
    summary: 'One alert: state, why it fired, and what became of each message',
    params,
    response: { 200: alert, 404: detail, 503: detail },
  },
  acknowledge: {
    operationId: 'acknowledge_alert',
    summary: 'Somebody has it in hand: no more messages about this alert, no escalation',
    params,
    body: z.object({ by }),
    response: answers,
  },
  silence: {
    operationId: 'silence_alert',
    summary: 'No messages about this alert for some minutes; what comes meanwhile is told then',
    params,
    body: z.object({ by, minutes: z.number().min(0).max(43_200).default(60) }),
    response: answers,
  },
  resolve: {
    operationId: 'resolve_alert',
    summary: 'The alert is over; the next event of its group raises another',
    params,
    body: z.object({ by }),
    response: answers,
  },
  testChannel: {
    operationId: 'test_channel',
    summary: 'Send a test through a channel, once, and say what came of it',
    body: z.object({ channel: z.string() }),
    response: {
      200: z.object({
        channel: z.string(),
        results: z.array(
          z.object({
            target: z.string(),
            outcome: z.enum(['delivered', 'retry', 'refused']),
            error: z.string().nullable(),
          }),
        ),
      }),
      404: detail,
      422: detail,
    },
  },
  previewRule: {
    operationId: 'preview_rule',
    summary: 'Run a rule over stored events, each at its own time: when it would have fired, and how often',
    body: z.object({
      rule: z
        .union([z.string(), z.record(z.string(), z.unknown())])
        .describe('the name of a rule, or a rule as in alert_rules'),
      start_time: z.string().optional().describe('7 days before end_time if missing'),
      end_time: z.string().optional().describe('now if missing'),
    }),
    response: {
      200: z.object({
        rule: z.string(),
        start_time: z.string(),
        end_time: z.string(),
        events: z.int(),
        matched: z.int(),
        alerts: z.int(),
        messages: z.int(),
        firings: z.array(
          z.object({
            at: z.string(),
            kind: z.string(),
            key: z.string(),
            count: z.int(),
            why: z.string(),
            event_ids: ids,
          }),
        ),
        is_cut: z.boolean().describe('firings holds the first 200 only'),
      }),
      400: detail,
      404: detail,
      422: detail,
      503: detail,
    },
  },
}
