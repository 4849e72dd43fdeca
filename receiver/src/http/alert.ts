import {
  EventError,
  invalid,
  isObject,
  missing,
  parseTimestamp,
  toTimestamp,
  type Value,
} from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Alerts } from '../alert/alerts.ts'
import type { RunPreview } from '../alert/preview.ts'
import { parseRule, type RuleSet } from '../alert/rule.ts'
import type { Ingest } from '../ingest/ingest.ts'
import {
  type AlertAction,
  type AlertRecord,
  alertStates,
  type Delivery,
  parseAlertCursor,
} from '../store/alert-store.ts'
import { schemas } from './alert-schema.ts'
import { sendJson } from './answer.ts'
import { hasBody, withBody } from './body.ts'
import { findOptionsOf } from './find-options.ts'
import { createParameters } from './parameter.ts'

export interface AlertDoorOptions {
  ingest: Ingest
  alerts: Alerts | undefined
  previews: PreviewRoom
  maxBodyBytes: number
  queryTimeoutMs: number
}

/** Rules can be tried before one is set, and before anybody is told. */
export interface PreviewRoom {
  run: RunPreview
  ruleSet: RuleSet
  alertLevel: number
  /** Names of the channels that there are. */
  channels: readonly string[]
}

const maxPage = 1000
const defaultSilenceMinutes = 60
const listedRules = 20
const defaultPreviewMs = 7 * 86_400_000

/** Alerts: what fired and why, who was told, and what people do about it. */
export function registerAlerts(app: FastifyInstance, options: AlertDoorOptions): void {
  const { alerts, queryTimeoutMs } = options
  const room = (): Alerts => {
    if (alerts) return alerts
    throw new EventError('EVT_NOT_FOUND', 'Nobody is told of errors yet: set email_alerts or alert_channels.')
  }

  app.get('/alerts', { schema: schemas.getAlerts }, async (request, reply) => {
    const { store } = room()
    const parameters = createParameters(request.query)
    const limit = parameters.integer('number', 100, 1, maxPage)
    parameters.check()
    const [state, rule, key, after] = ['state', 'rule', 'key', 'cursor'].map((name) => parameters.text(name))
    const known = alertStates.find((one) => one === state)
    if (state !== undefined && known === undefined)
      throw refuseField('query', 'state', `one of ${alertStates.join(', ')}`, state)
    if (after && !parseAlertCursor(after))
      throw refuseField('query', 'cursor', 'what the last page said', after)
    const records = await store.find({
      limit,
      ...(known && { state: known }),
      ...(rule !== undefined && { rule }),
      ...(key !== undefined && { key }),
      ...(after && { after }),
    })
    const deliveries = await store.deliveriesOf(records.map(({ id }) => id))
    const last = records.at(-1)
    if (last && records.length === limit) reply.header('x-next-cursor', `${last.openedMs}:${last.id}`)
    return sendJson(
      reply,
      records.map((record) => toAlert(record, deliveries)),
    )
  })

  app.get('/alerts/:alert_id', { schema: schemas.getAlert }, async (request, reply) => {
    const { store } = room()
    const { alert_id: id } = request.params as { alert_id: string }
    const record = await store.get(id)
    if (!record) throw unknownAlert(id)
    return sendJson(reply, toAlert(record, await store.deliveriesOf([id])))
  })

  for (const kind of ['acknowledge', 'silence', 'resolve'] as const) {
    app.post(`/alerts/:alert_id/${kind}`, { schema: schemas[kind] }, async (request, reply) => {
      const { alert_id: alertId } = request.params as { alert_id: string }
      const act = async (body: Value) => {
        const record = await room().act(toAction(kind, alertId, body))
        if (!record) throw unknownAlert(alertId)
        return sendJson(reply, toAlert(record, await room().store.deliveriesOf([alertId])))
      }
      return hasBody(request.headers) ? withBody(request, options, act) : act(null)
    })
  }

  app.post('/alerts/test', { schema: schemas.testChannel }, (request, reply) =>
    withBody(request, options, async (body) => {
      const { channels, test } = room()
      const name = isObject(body) ? body.channel : undefined
      if (name === undefined || name === null) throw invalid([missing(['body', 'channel'])])
      const channel = channels.get(String(name))
      if (!channel) throw refuseField('body', 'channel', `one of ${[...channels.keys()].join(', ')}`, name)
      const results = await test(channel)
      return sendJson(reply, {
        channel: channel.name,
        results: results.map(({ target, outcome }) => ({
          target,
          outcome: outcome.kind,
          error: 'reason' in outcome ? outcome.reason : null,
        })),
      })
    }),
  )

  app.post('/alerts/preview', { schema: schemas.previewRule }, (request, reply) =>
    withBody(request, options, async (body) => {
      const { run, ruleSet, alertLevel, channels } = options.previews
      if (!isObject(body)) throw invalid([missing(['body'])])
      const given = body.rule ?? null
      const ruleNames = ruleSet.rules.map(({ name }) => name).slice(0, listedRules)
      const byName = typeof given === 'string' ? ruleSet.rules.find(({ name }) => name === given) : undefined
      if (typeof given === 'string' && !byName)
        throw refuseField('body', 'rule', `the name of a rule (${ruleNames.join(', ')}), or a rule`, given)
      const rule = byName ?? parseRule(given, { alertLevel, channels })
      const endTime = timeOf(body, 'end_time') ?? toTimestamp(BigInt(Date.now()) * 1_000_000n)
      const startTime =
        timeOf(body, 'start_time') ?? toTimestamp(BigInt(Date.parse(endTime) - defaultPreviewMs) * 1_000_000n)
      const range = { startTime, endTime, timeoutMs: queryTimeoutMs, ...findOptionsOf(request, reply) }
      const result = await run(rule, range)
      const { isCut, ...counts } = result
      return sendJson(reply, {
        rule: rule.name,
        start_time: startTime,
        end_time: endTime,
        ...counts,
        is_cut: isCut,
      })
    }),
  )
}

function timeOf(body: { [name: string]: Value }, name: string): string | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  const parsed = parseTimestamp(value)
  if ('text' in parsed) return parsed.text.endsWith('Z') ? parsed.text : `${parsed.text}Z`
  throw refuseField('body', name, 'a time', value)
}

function toAction(kind: AlertAction['kind'], alertId: string, body: Value): AlertAction {
  const given = isObject(body) ? body : {}
  const by = typeof given.by === 'string' ? given.by.slice(0, 200) : null
  if (kind !== 'silence') return { kind, alertId, by }
  const { minutes = defaultSilenceMinutes } = given
  if (typeof minutes !== 'number' || !(minutes > 0 && minutes <= 43_200))
    throw refuseField('body', 'minutes', 'a number above 0, at most 43200', minutes)
  return { kind, alertId, by, untilMs: Date.now() + Math.round(minutes * 60_000) }
}

const refuseField = (where: string, name: string, wanted: string, input: Value): EventError =>
  invalid([{ type: 'value_error', loc: [where, name], msg: `Value error, must be ${wanted}`, input }])

const unknownAlert = (id: string) => new EventError('EVT_NOT_FOUND', `Alert with ID ${id} not found`)

const timeText = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

/** An alert as REST shows it. */
export function toAlert(record: AlertRecord, deliveries: readonly Delivery[]): object {
  const own = deliveries.filter(({ alertId }) => alertId === record.id)
  return {
    ...(JSON.parse(record.json) as object),
    updated_at: timeText(record.updatedMs),
    deliveries: own.map(({ id, channel, target, state, attempts, error, createdMs, nextMs, settledMs }) => ({
      delivery_id: id,
      channel,
      target,
      state,
      attempts,
      error,
      created_at: timeText(createdMs),
      next_attempt_at: state === 'pending' ? timeText(nextMs === 0 ? createdMs : nextMs) : null,
      settled_at: timeText(settledMs),
    })),
  }
}
