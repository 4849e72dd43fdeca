import { EventError } from '@madsci-events/sdk/event'
import { closestTo } from '../closest.ts'
import { parseYamlText } from '../config/file.ts'
import { countOf } from '../plural.ts'
import type { CommandCall } from './call.ts'
import { toTime } from './event-filter.ts'
import { type EventDocument, fit, messageOf, toLocalTime } from './event-line.ts'
import { findEvents, findNames } from './names.ts'
import { ask, baseUrl, setParameters } from './remote.ts'
import type { Terminal } from './terminal.ts'

/** Alerts of a running receiver. */

interface Alert {
  alert_id: string
  rule: string
  key: string
  group: { [path: string]: string | null }
  state: string
  why: string
  count: number
  opened_at: string
  acknowledged_by: string | null
  silenced_until: string | null
  last_event_id: string | null
  first_event_ids: string[]
  deliveries: { channel: string; target: string; state: string; attempts: number; error: string | null }[]
}

interface Health {
  alerts?: {
    channels: string[]
    pending: number
    retrying: number
    failed: number
    stalled?: { since: string; reason: string } | null
  } | null
}

type Action = (call: CommandCall, base: URL, terminal: Terminal) => Promise<void>

export const alertActions = ['list', 'show', 'acknowledge', 'silence', 'resolve', 'test', 'preview'] as const
const anId = "the id of an alert, like 01KBGTKQ3J5Z8W4T9X2M6V7P1D: 'madsci-events alerts' lists them"
const alertSubjects: { [name in Exclude<(typeof alertActions)[number], 'list'>]: string } = {
  show: anId,
  acknowledge: anId,
  silence: anId,
  resolve: anId,
  test: 'the name of a channel, like email',
  preview: `a rule, as its name or JSON, like '{"selector": {"event_type": "node_error"}}'`,
}
type ActionName = (typeof alertActions)[number]

/** Exit code 0; 1 when the last word is not good: a test that was not delivered. */
export async function alerts(call: CommandCall, terminal: Terminal): Promise<number> {
  const [name = 'list', subject] = call.arguments
  const action = alertActions.find((one) => one === name)
  if (!action || (subject === undefined && action !== 'list')) {
    const near = closestTo(name, alertActions)
    terminal.stderr.line(
      action
        ? `alerts ${action} takes ${alertSubjects[action]}`
        : `'${name}' is no action of alerts${near ? `: did you mean ${near}?` : `; there are: ${alertActions.join(', ')}`}`,
    )
    return 2
  }
  const base = baseUrl(call, terminal)
  if (action === 'test') return sendTest(call, base, terminal)
  await run[action](call, base, terminal)
  return 0
}

const post = (body: object): RequestInit => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})

const act: Action = async ({ arguments: [name, id], options }, base, terminal) => {
  const minutes = options.minutes === undefined ? {} : { minutes: Number(options.minutes) }
  const url = new URL(`alerts/${encodeURIComponent(id!)}/${name}`, base)
  const text = await (await ask(url, post({ by: options.by ?? null, ...minutes }))).text()
  if (options.json) terminal.stdout.write(`${text}\n`)
  else await showAlerts([JSON.parse(text) as Alert], base, terminal)
}

const run: { [name in Exclude<ActionName, 'test'>]: Action } = {
  async list({ options }, base, terminal) {
    const url = new URL('alerts', base)
    setParameters(url, options, ['number', 'state', 'rule'])
    const text = await (await ask(url)).text()
    if (options.json) return void terminal.stdout.write(`${text}\n`)
    const { alerts: health } = (await (await ask(new URL('health', base))).json()) as Health
    const found = JSON.parse(text) as Alert[]
    if (found.length === 0)
      terminal.stderr.line(options.state || options.rule ? 'no alert matches' : 'no alerts yet')
    await showAlerts(found, base, terminal)
    if (health) {
      const { pending, retrying, failed, stalled } = health
      if (stalled)
        terminal.stderr.line(
          `rules and messages do not go on since ${toLocalTime(stalled.since, true)}: ${stalled.reason}`,
        )
      terminal.stdout.write(
        `messages: ${pending} waiting (${retrying} after a failed try), ${failed} given up\n`,
      )
    }
  },
  async show({ arguments: [, id] }, base, terminal) {
    const text = await (await ask(new URL(`alerts/${encodeURIComponent(id!)}`, base))).text()
    terminal.stdout.write(`${JSON.stringify(JSON.parse(text), null, 2)}\n`)
  },
  acknowledge: act,
  silence: act,
  resolve: act,
  async preview({ arguments: [, given], options }, base, terminal) {
    const rule: unknown = given!.trimStart().startsWith('{') ? parseRuleText(given!) : given
    const now = new Date()
    const time = (name: 'start_time' | 'end_time') =>
      options[name] === undefined ? undefined : toTime(name, String(options[name]), now)
    const [start_time, end_time] = [time('start_time'), time('end_time')]
    const body = {
      rule,
      ...(start_time !== undefined && { start_time }),
      ...(end_time !== undefined && { end_time }),
    }
    const text = await (await ask(new URL('alerts/preview', base), post(body))).text()
    if (options.json) return void terminal.stdout.write(`${text}\n`)
    const { events, matched, alerts, messages, firings } = JSON.parse(text) as {
      [name: string]: number
    } & { firings: Firing[] }
    terminal.stdout.write(
      `${countOf(events!, 'event')}, ${matched} matched: ${countOf(alerts!, 'alert')}, ${countOf(messages!, 'message')}\n`,
    )
    await showFirings(firings, base, terminal)
  },
}

/** JSON, or YAML as in a settings file. */
function parseRuleText(text: string): unknown {
  try {
    return parseYamlText(text)
  } catch (cause) {
    const [first] = (cause as Error).message.split('\n')
    const example = `'{selector: {event_type: node_error}}'`
    throw new EventError(
      'EVT_INVALID',
      `the rule is neither JSON nor YAML: ${first}; one looks like ${example}`,
      {
        cause,
      },
    )
  }
}

interface Firing {
  at: string
  kind: string
  key: string
  count: number
  why: string
  event_ids: string[]
}

async function sendTest(
  { arguments: [, channel], options }: CommandCall,
  base: URL,
  terminal: Terminal,
): Promise<number> {
  const text = await (await ask(new URL('alerts/test', base), post({ channel }))).text()
  const { results } = JSON.parse(text) as {
    results: { target: string; outcome: string; error: string | null }[]
  }
  if (options.json) terminal.stdout.write(`${text}\n`)
  else
    for (const { target, outcome, error } of results)
      terminal.stdout.line([channel, target, outcome, error].filter(Boolean).join('  '))
  return results.every(({ outcome }) => outcome === 'delivered') ? 0 : 1
}

/** What an alert is about, with names for ids, and what its newest event says. */
function createTelling(names: ReadonlyMap<string, string>, { columns }: Terminal['stdout']) {
  return {
    /** `arm action_failed, 3 events: no tip`, cut to the width of the terminal. */
    line(head: string, values: readonly string[], count: number, event: EventDocument | undefined): string {
      const group = values.map((value) => names.get(value) ?? value).join(' ')
      const about = [group, countOf(count, 'event')].filter((part) => part !== '').join(', ')
      const message = event === undefined ? '' : `: ${messageOf(event)}`
      const text = `${head} ${about}${message}`
      return columns === undefined ? text : fit(text, columns)
    },
  }
}

async function showAlerts(alerts: readonly Alert[], base: URL, { stdout }: Terminal): Promise<void> {
  const valuesOf = ({ group }: Alert) => Object.values(group).filter((value) => value !== null)
  const eventOf = ({ last_event_id, first_event_ids }: Alert) => last_event_id ?? first_event_ids[0] ?? ''
  const events = await findEvents(
    base,
    alerts.map(eventOf).filter((id) => id !== ''),
  )
  const names = await findNames(base, events.values(), new Set(alerts.flatMap(valuesOf)))
  const telling = createTelling(names, stdout)
  for (const alert of alerts) {
    const { alert_id, rule, state, why, count, opened_at, deliveries } = alert
    const { acknowledged_by: by, silenced_until: silencedUntil } = alert
    const head = `${toLocalTime(opened_at, true)} ${state} ${rule}`
    stdout.line(telling.line(head, valuesOf(alert), count, events.get(eventOf(alert))))
    const delivered = deliveries.filter((one) => one.state === 'delivered').length
    const told = delivered === 0 ? 'nobody was told' : `${countOf(delivered, 'message')} delivered`
    const silence =
      silencedUntil !== null && Date.parse(silencedUntil) > Date.now()
        ? `; silenced until ${toLocalTime(silencedUntil, true)}`
        : ''
    const acknowledgement = by === null ? '' : `; acknowledged by ${by}`
    stdout.line(`    ${alert_id}  ${told}; ${why}${acknowledgement}${silence}`)
    for (const { channel, target, state: fate, attempts, error } of deliveries)
      if (fate !== 'delivered' && (error !== null || attempts > 0))
        stdout.line(
          `    ${[fate, channel, target].filter(Boolean).join(' ')} after ${countOf(attempts, 'attempt')}: ${error ?? ''}`,
        )
  }
}

async function showFirings(firings: readonly Firing[], base: URL, { stdout }: Terminal): Promise<void> {
  const events = await findEvents(
    base,
    firings.flatMap(({ event_ids }) => event_ids.slice(-1)),
  )
  const names = await findNames(base, events.values(), new Set(firings.flatMap(({ key }) => valuesIn(key))))
  const telling = createTelling(names, stdout)
  for (const { at, kind, key, count, why, event_ids } of firings) {
    const event = events.get(event_ids.at(-1) ?? '')
    const head = `${toLocalTime(at, true)} ${kind}`
    stdout.line(telling.line(head, valuesIn(key), count, event))
    if (event === undefined) stdout.line(`    ${why}`)
  }
}

/** The values of a group: its key is JSON of them. */
function valuesIn(key: string): string[] {
  try {
    const values: unknown = JSON.parse(key)
    if (Array.isArray(values)) return values.filter((one) => one !== null).map(String)
  } catch {}
  return key === '' ? [] : [key]
}
