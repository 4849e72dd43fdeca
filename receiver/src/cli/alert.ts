import type { CommandCall } from './call.ts'
import { ask, baseUrl, setParameters } from './remote.ts'
import type { Terminal } from './terminal.ts'

/** Alerts of a running receiver. */

interface Alert {
  alert_id: string
  rule: string
  key: string
  state: string
  why: string
  count: number
  opened_at: string
  deliveries: { channel: string; target: string; state: string; attempts: number; error: string | null }[]
}

interface Health {
  alerts?: { channels: string[]; pending: number; retrying: number; failed: number } | null
}

type Action = (call: CommandCall, base: URL, terminal: Terminal) => Promise<void>

export const alertActions = ['list', 'show', 'acknowledge', 'silence', 'resolve', 'test', 'preview'] as const
type ActionName = (typeof alertActions)[number]

/** Exit code 0; 1 when the last word is not good: a test that was not delivered. */
export async function alerts(call: CommandCall, terminal: Terminal): Promise<number> {
  const [name = 'list', subject] = call.arguments
  const action = alertActions.find((one) => one === name)
  if (!action || (subject === undefined && action !== 'list')) {
    terminal.stderr.write(
      `alerts ${alertActions.join('|')} takes ${action ? 'a second word' : 'one of these'}.\n`,
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
  else for (const line of toLines(JSON.parse(text) as Alert)) terminal.stdout.line(line)
}

const run: { [name in Exclude<ActionName, 'test'>]: Action } = {
  async list({ options }, base, terminal) {
    const url = new URL('alerts', base)
    setParameters(url, options, ['number', 'state', 'rule'])
    const text = await (await ask(url)).text()
    if (options.json) return void terminal.stdout.write(`${text}\n`)
    const { alerts: health } = (await (await ask(new URL('health', base))).json()) as Health
    for (const line of (JSON.parse(text) as Alert[]).flatMap(toLines)) terminal.stdout.line(line)
    if (health) {
      const { pending, retrying, failed } = health
      terminal.stdout.write(
        `messages: ${pending} pending, ${retrying} of them tried in vain, ${failed} undeliverable\n`,
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
    const rule: unknown = given!.trimStart().startsWith('{') ? JSON.parse(given!) : given
    const { start_time, end_time } = options
    const body = {
      rule,
      ...(start_time !== undefined && { start_time }),
      ...(end_time !== undefined && { end_time }),
    }
    const text = await (await ask(new URL('alerts/preview', base), post(body))).text()
    if (options.json) return void terminal.stdout.write(`${text}\n`)
    const { events, matched, alerts, messages, firings } = JSON.parse(text) as {
      [name: string]: number
    } & { firings: { at: string; kind: string; key: string; count: number; why: string }[] }
    terminal.stdout.write(`${events} events, ${matched} matched: ${alerts} alerts, ${messages} messages\n`)
    for (const one of firings)
      terminal.stdout.line(`${one.at}  ${one.kind.padEnd(10)} ${one.key}  ${one.count} events  ${one.why}`)
  },
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

/** A line about the alert, and one about each message that did not arrive. */
function toLines({ alert_id, rule, key, state, why, count, opened_at, deliveries }: Alert): string[] {
  const delivered = deliveries.filter((one) => one.state === 'delivered').length
  const lines = [
    `${opened_at}  ${state.padEnd(12)} ${alert_id}  ${rule} ${key}  ${count} events, ${delivered} messages delivered  ${why}`,
  ]
  for (const { channel, target, state: fate, attempts, error } of deliveries) {
    if (fate !== 'delivered' && (error !== null || attempts > 0))
      lines.push(`    ${fate} ${channel} ${target} after ${attempts} attempts: ${error ?? ''}`)
  }
  return lines
}
