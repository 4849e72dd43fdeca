import { EventError } from '@madsci-events/sdk/event'
import { pino } from 'pino'
import { type Config, describeUnknown } from '../config/config.ts'
import { askAddress } from '../doctor/port.ts'
import { toInertText } from '../inert.ts'
import type { Log } from '../log.ts'
import { type Receiver, startReceiver } from '../receiver.ts'
import { showUrl, showUrlsInJson } from '../url.ts'
import { version } from '../version.ts'
import { findExposure } from './exposure.ts'
import { toLogLine } from './log-line.ts'
import { readSettings } from './setting.ts'
import { allowsColour, type Terminal } from './terminal.ts'

/** Runs the receiver until a signal comes. 0 after a clean end, 1 when requests had to be cut off. */
export async function serve(flags: { [name: string]: string }, terminal: Terminal): Promise<number> {
  const config = readSettings(terminal, flags)
  const log = createLog(config, terminal)
  const receiver = await openReceiver(config, log, terminal)
  await aborted(terminal.stopping)
  return closeReceiver(receiver, log, terminal)
}

/**
 * JSON lines on standard error, on a terminal sentences; written before the call returns, so that a crash keeps the last of
 * them.
 */
export function createLog(
  config: Pick<Config, 'logLevel'>,
  { stderr, environment }: Pick<Terminal, 'stderr' | 'environment'>,
): Log {
  const destination = pino.destination({ fd: 2, sync: true })
  const hasColour = allowsColour(environment)
  const toLine = (json: string) => {
    const shown = showUrlsInJson(json.trimEnd())
    return stderr.isTTY ? toLogLine(shown, hasColour) : toInertText(shown)
  }
  return pino(
    { level: config.logLevel, base: { pid: process.pid } },
    { write: (line: string) => void destination.write(`${toLine(line)}\n`) },
  )
}

export async function openReceiver(config: Config, log: Log, terminal: Terminal): Promise<Receiver> {
  const { workingDirectory, environment } = terminal
  for (const name of config.unknown) log.warn({ name }, `${describeUnknown(name)}; it is ignored`)
  for (const text of config.warnings) log.warn({}, text)
  const receiver = await startReceiver(config, { log, workingDirectory, environment }).catch(
    async (error: unknown) => {
      throw await explainOwner(error, config)
    },
  )
  const host = config.serverUrl.hostname.replace(/^\[|\]$/g, '')
  const exposure = await findExposure(host)
  if (exposure !== undefined) log.warn({ host }, exposure)
  const lines = [
    `madsci-events ${version}`,
    `  REST and OTLP  ${receiver.url}  (the API: ${receiver.url}docs)`,
    `  OTLP alone     ${receiver.otlpUrl ?? 'no second listener'}`,
    `  OTLP/gRPC      ${receiver.grpcUrl ?? 'no listener'}`,
    `  events rest in ${receiver.storeText}`,
  ]
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  if (zone !== 'UTC' && config.naiveTimezone === undefined) {
    lines.push(
      `  times without a zone count as UTC, and this machine's zone is ${zone}: naive_timezone=${zone} converts them`,
    )
  }
  for (const line of lines) terminal.stdout.line(line)
  log.info(
    { url: receiver.url, otlpUrl: receiver.otlpUrl, grpcUrl: receiver.grpcUrl, store: receiver.storeText },
    'the receiver listens',
  )
  return receiver
}

/** Says who has the database or the port, when a receiver answers at the address of this one. */
async function explainOwner(error: unknown, { serverUrl }: Config): Promise<unknown> {
  if (!(error instanceof EventError)) return error
  const isTaken = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE'
  if (error.code !== 'EVT_STORE_LOCKED' && !isTaken) return error
  const answerer = await askAddress(serverUrl)
  if (!isTaken) {
    const where = answerer ? `; ${answerer.text} answers at ${showUrl(serverUrl)}` : ''
    return new EventError(error.code, `${error.message}${where}`, { cause: error.cause })
  }
  const other = new URL(serverUrl)
  other.port = String(Number(other.port || 80) + 1)
  const who = answerer ? ` by ${answerer.text}` : ''
  const text = `${error.message}${who}. End it where it was started, or choose another port: --server_url=${showUrl(other)}`
  return new EventError(error.code, text, { cause: error.cause })
}

export async function closeReceiver(receiver: Receiver, log: Log, { stopping }: Terminal): Promise<number> {
  log.info({ signal: stopping.reason }, 'closing: new requests get 503, those under way end')
  const clean = await receiver.close()
  const counts = Object.fromEntries(
    receiver.metric
      .read()
      .filter(({ count }) => count > 0)
      .map(({ name, reason, count }) => [reason === '' ? name : `${name}.${reason}`, count]),
  )
  if (clean) log.info(counts, 'closed')
  else log.warn(counts, 'closed; requests that took longer than shutdown_timeout_ms were cut off')
  return clean ? 0 : 1
}

export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
