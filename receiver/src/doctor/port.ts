import { once } from 'node:events'
import { createServer } from 'node:net'
import { type Finding, good, problem, warning } from '../finding.ts'
import { splitLogin } from '../url.ts'

export interface WantedPort {
  /** The setting. */
  name: string
  host: string
  port: number
  /** The operator asked for this one; others are done without when they are taken. */
  isGiven: boolean
}

/** Who answers at an address of the REST API. */
export interface Answerer {
  text: string
  isOurs: boolean
  /** Ours, or MADSci's own. */
  isEventManager: boolean
  /** The settings of a receiver that runs. */
  settings: { readonly [name: string]: unknown }
  /** Id of its newest event. */
  newestId: string | undefined
  health: {
    alerts?: { pending?: number; failed?: number; stalled?: { since: string; reason: string } | null } | null
  }
  /** Its clock minus ours, to the second. */
  offsetMs: number | undefined
}

/** Free, or who has it. */
export async function inspectPort(wanted: WantedPort, answerer: Answerer | undefined): Promise<Finding> {
  const { name, host, port, isGiven } = wanted
  if (port === 0) return good('port', `${name}: any free port`)
  const code = await tryListen(host, port)
  if (code === undefined) return good('port', `${name}: ${host}:${port} is free`)
  if (code === 'EADDRINUSE') {
    if (answerer?.isOurs) return good('port', `${name}: ${host}:${port} is taken by ${answerer.text}`)
    const who = answerer?.text ?? 'another program, perhaps another receiver'
    const advice = `end that program, or choose another port: --${name}=…`
    if (name !== 'server_url' && !isGiven) {
      return warning('port', `${name}: ${host}:${port} is taken by ${who}; the receiver does without`, advice)
    }
    return problem('port', `${name}: ${host}:${port} is taken by ${who}`, advice)
  }
  const advice =
    code === 'EACCES'
      ? 'ports below 1024 need special rights: choose a higher one'
      : `${host} must be an address of this machine; 0.0.0.0 listens on all of them`
  return problem('port', `${name}: nobody can listen on ${host}:${port} (${code})`, advice)
}

/** The code of the error; undefined when the port is free. */
async function tryListen(host: string, port: number): Promise<string | undefined> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}

/** Asks the address that a client would. Undefined when nothing answers. */
export async function askAddress(address: URL): Promise<Answerer | undefined> {
  const { url, headers } = splitLogin(address)
  const ask = (path: string) =>
    fetch(new URL(path, url), { headers, signal: AbortSignal.timeout(3000), redirect: 'manual' })
  let health: Response
  try {
    health = await ask('health')
  } catch {
    return undefined
  }
  const receivedMs = Date.now()
  const date = Date.parse(health.headers.get('date') ?? '')
  // The header is cut to the second: in the middle of it, on average.
  const offsetMs = Number.isNaN(date) ? undefined : date + 500 - receivedMs
  const body = (await health.json().catch(() => undefined)) as
    | (Answerer['health'] & { version?: string; total_events?: number })
    | undefined
  if (body === undefined || !('total_events' in body)) {
    return {
      text: 'a program that is no event manager',
      isOurs: false,
      isEventManager: false,
      settings: {},
      newestId: undefined,
      health: {},
      offsetMs,
    }
  }
  const ready = await ask('health/ready').catch(() => undefined)
  const isOurs = ready !== undefined && ready.status !== 404
  const text = isOurs
    ? `a madsci-events receiver, version ${body.version}`
    : `MADSci's own event manager ${body.version}`
  return {
    text,
    isOurs,
    isEventManager: true,
    settings: isOurs ? await askSettings(ask) : {},
    newestId: isOurs ? await askNewestId(ask) : undefined,
    health: body,
    offsetMs,
  }
}

async function askNewestId(ask: (path: string) => Promise<Response>): Promise<string | undefined> {
  try {
    return Object.keys((await (await ask('events?number=1')).json()) as object)[0]
  } catch {
    return undefined
  }
}

async function askSettings(ask: (path: string) => Promise<Response>): Promise<Answerer['settings']> {
  try {
    const { settings } = (await (await ask('settings')).json()) as Pick<Answerer, 'settings'>
    return settings
  } catch {
    return {}
  }
}
