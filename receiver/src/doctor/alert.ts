import type { Config } from '../config/config.ts'
import { type Finding, good, problem, warning } from '../finding.ts'
import { showUrl, splitLogin } from '../url.ts'
import type { Answerer } from './port.ts'

const askTimeoutMs = 3000
// A mail server may take its time with each address.
const testTimeoutMs = 120_000

/** Names of the channels by which somebody is told. */
const channelsOf = ({ emailAlerts, alertChannels }: Config): string[] => [
  ...(emailAlerts ? ['email'] : []),
  ...Object.keys(alertChannels),
]

/** Whether somebody is told of alerts: what the running receiver says of its messages, the link in them, and, on request, a test of each channel. */
export async function* inspectAlerts(
  config: Config,
  answerer: Answerer | undefined,
  isTested: boolean,
): AsyncGenerator<Finding> {
  const channels = channelsOf(config)
  if (channels.length === 0) {
    yield warning('alerts', 'nobody is told of errors yet', 'set email_alerts or alert_channels')
    return
  }
  yield await inspectLink(config)
  const counts = answerer?.isOurs ? answerer.health.alerts : undefined
  if (counts) {
    const { pending = 0, failed = 0, stalled } = counts
    if (stalled)
      yield problem(
        'alerts',
        `rules and messages do not go on since ${stalled.since}: ${stalled.reason}`,
        'look at the log of the receiver and at its store; events are kept, and told once it goes on',
      )
    const told = `messages that the running receiver gave up: ${failed}; that wait: ${pending}`
    if (failed > 0)
      yield problem(
        'alerts',
        told,
        'madsci-events alerts show ID tells why; once that is mended, madsci-events doctor --test sends a test',
      )
    else if (pending > 0)
      yield warning('alerts', told, 'madsci-events alerts list --state=firing shows of what')
    else yield good('alerts', told)
  }
  if (!isTested) {
    yield good(
      'alerts',
      `not tried: ${channels.join(', ')} (doctor --test sends each a message by the running receiver)`,
    )
    return
  }
  if (!answerer?.isOurs) {
    yield warning(
      'alerts',
      `not tried: ${channels.join(', ')}, for no receiver runs`,
      'start it, and run doctor --test again',
    )
    return
  }
  for (const channel of channels) yield* testChannel(config, channel)
}

/** People read a mail elsewhere: the address in it must lead here from there. */
async function inspectLink({ publicUrl, serverUrl }: Config): Promise<Finding> {
  const { url, headers } = splitLogin(new URL(publicUrl ?? serverUrl))
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const link = `links in messages lead to ${showUrl(url)}`
  if (/^(localhost|127\..*|::1|0\.0\.0\.0|::)$/.test(host))
    return warning(
      'alerts',
      `${link}, which is no address on other machines`,
      'set public_url to where people reach the receiver',
    )
  try {
    const answer = await fetch(new URL('health/live', url), {
      headers,
      signal: AbortSignal.timeout(askTimeoutMs),
    })
    await answer.body?.cancel()
    if (answer.ok) return good('alerts', `${link}, which answers`)
    return warning(
      'alerts',
      `${link}, which answers ${answer.status}`,
      'correct public_url, or what stands between',
    )
  } catch {
    return warning(
      'alerts',
      `${link}, which does not answer from here`,
      'start the receiver, or correct public_url',
    )
  }
}

async function* testChannel({ serverUrl }: Config, channel: string): AsyncGenerator<Finding> {
  const { url, headers } = splitLogin(serverUrl)
  const advice = `correct the settings of ${channel}; the receiver reads them when it starts`
  try {
    const answer = await fetch(new URL('alerts/test', url), {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ channel }),
      signal: AbortSignal.timeout(testTimeoutMs),
    })
    const body = (await answer.json()) as {
      results?: { target: string; outcome: string; error: string | null }[]
    }
    if (!body.results) {
      yield problem(
        'alerts',
        `the running receiver does not know the channel ${channel}`,
        'start it again, so that it reads the settings',
      )
      return
    }
    for (const { target, outcome, error } of body.results) {
      const message = target === '' ? 'message' : `message to ${target}`
      if (outcome === 'delivered') yield good('alerts', `${channel}: a test ${message} was accepted`)
      else yield problem('alerts', `${channel}: no ${message}: ${error ?? outcome}`, advice)
    }
  } catch (error) {
    yield problem('alerts', `${channel}: the test did not end: ${(error as Error).message}`, advice)
  }
}
