import { EventError, isObject, parseJson, toJson, type Value } from '@madsci-events/sdk/event'
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
    throw new EventError('EVT_UNREACHABLE', `no receiver answers at ${url.origin}`, { cause })
  }
  if (answer.ok) return answer
  throw new EventError(
    // What a retry can help: a receiver that is busy or goes away.
    [429, 502, 503, 504].includes(answer.status) ? 'EVT_UNREACHABLE' : 'EVT_REFUSED',
    `${url.pathname}: ${answer.status} ${(await answer.text()).slice(0, 1000)}`,
  )
}

export function setParameters(url: URL, options: CommandCall['options'], names: readonly string[]): void {
  for (const name of names) {
    const value = options[name]
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
}

/** A line for people: time, level, type, id, message. */
function toLine(event: { [key: string]: Value }): string {
  const data = event.event_data
  const message = isObject(data) && typeof data.message === 'string' ? data.message : toJson(data ?? null)
  const level = String(event.log_level).padStart(2)
  return `${event.event_timestamp}  ${level}  ${String(event.event_type).padEnd(22)} ${event._id}  ${message.slice(0, 300)}`
}

export async function query(call: CommandCall, terminal: Terminal): Promise<number> {
  const {
    options,
    arguments: [selector],
  } = call
  const url = new URL(selector === undefined ? 'events' : 'events/query', baseUrl(call, terminal))
  let init: RequestInit = {}
  if (selector === undefined)
    setParameters(url, options, ['number', 'level', 'start_time', 'end_time', 'include_archived'])
  else init = { method: 'POST', body: selector, headers: { 'content-type': 'application/json' } }
  const text = await (await ask(url, init)).text()
  if (options.json) terminal.stdout.write(`${text}\n`)
  else {
    const events = parseJson(text) as { [id: string]: { [key: string]: Value } }
    for (const event of Object.values(events)) terminal.stdout.line(toLine(event))
  }
  return 0
}

/** Follows until a signal comes; comes back to where it was when the receiver restarts. */
export async function tail(call: CommandCall, terminal: Terminal): Promise<number> {
  const {
    options,
    arguments: [selector],
  } = call
  const url = new URL('events/stream', baseUrl(call, terminal))
  setParameters(url, options, ['level'])
  if (selector !== undefined) url.searchParams.set('selector', selector)
  const { stopping } = terminal
  let lastEventId: string | undefined
  let hasBegun = false
  while (!stopping.aborted) {
    try {
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
      const answer = await ask(url, { headers, signal: stopping })
      hasBegun = true
      let text = ''
      for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          for (const line of text.slice(0, end).split('\n')) {
            if (line.startsWith('id: ')) lastEventId = line.slice(4)
            else if (line.startsWith('data: ')) show(line.slice(6))
          }
          text = text.slice(end + 2)
        }
      }
    } catch (error) {
      if (stopping.aborted) break
      // A receiver that never answered, or that refuses the question, is an error; one that went away is waited for.
      if (!hasBegun || (error instanceof EventError && error.code === 'EVT_REFUSED')) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  return 0

  function show(json: string): void {
    if (options.json) terminal.stdout.write(`${json}\n`)
    else terminal.stdout.line(toLine(parseJson(json) as { [key: string]: Value }))
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
