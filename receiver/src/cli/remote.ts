import { EventError } from '@madsci-events/sdk/event'
import { readConfig } from '../config/config.ts'
import { splitLogin } from '../url.ts'
import type { CommandCall } from './call.ts'
import { createProgress } from './progress.ts'
import type { Terminal } from './terminal.ts'

/** Commands that ask a running receiver. */

export function baseUrl({ flags }: CommandCall, terminal: Terminal): URL {
  return readConfig({ ...terminal, flags }).serverUrl
}

export async function ask(url: URL, init: RequestInit = {}): Promise<Response> {
  let answer: Response
  try {
    const { url: bare, headers } = splitLogin(url)
    answer = await fetch(bare, { ...init, headers: { ...headers, ...(init.headers as object) } })
  } catch (cause) {
    throw new EventError(
      'EVT_UNREACHABLE',
      `no receiver answers at ${url.origin}; start one with madsci-events serve, or name another: --server_url=…`,
      {
        cause,
      },
    )
  }
  if (answer.ok) return answer
  throw new EventError(
    // What a retry can help: a receiver that is busy or goes away.
    [429, 502, 503, 504].includes(answer.status) ? 'EVT_UNREACHABLE' : 'EVT_REFUSED',
    toSentence(url, answer.status, await answer.text()),
  )
}

/** What the receiver found wrong, without the JSON around it; what is no sentence of a receiver's comes with its path and status. */
function toSentence(url: URL, status: number, text: string): string {
  const where = `${url.pathname}: ${status}`
  if (text.trimStart().startsWith('<')) return `${url.origin} is no event manager: ${where} with a web page`
  try {
    const { detail } = JSON.parse(text) as { detail: unknown }
    if (typeof detail === 'string') return detail.slice(0, 1000)
    const problems = (detail as { loc: unknown[]; msg: string }[]).map(
      ({ loc, msg }) => `${loc.slice(1).join('.')}: ${msg}`,
    )
    return problems.join('; ').slice(0, 1000)
  } catch {
    return `${where} ${text.slice(0, 1000)}`
  }
}

export function setParameters(url: URL, options: CommandCall['options'], names: readonly string[]): void {
  for (const name of names) {
    const value = options[name]
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
}

export async function backup(call: CommandCall, terminal: Terminal): Promise<number> {
  const url = new URL('backup', baseUrl(call, terminal))
  const body = JSON.stringify({ description: call.options.description ?? null })
  // The receiver does not say how far it is: the seconds must do.
  const progress = createProgress(terminal, undefined)
  const timer = setInterval(() => progress.show(0, 'the receiver copies'), 200)
  let text: string
  try {
    const answer = await ask(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    text = await answer.text()
  } finally {
    clearInterval(timer)
    progress.end()
  }
  const { backup_path: path } = JSON.parse(text) as { backup_path: string }
  if (call.options.json) terminal.stdout.write(`${text}\n`)
  else terminal.stdout.line(path)
  return 0
}
