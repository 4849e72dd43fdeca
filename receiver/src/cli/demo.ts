import { resolve } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import { type Config, settings } from '../config/config.ts'
import { variablesOf } from '../config/source.ts'
import { startLab } from '../demo/lab.ts'
import { showUrl } from '../url.ts'
import { aborted, closeReceiver, createLog, openReceiver } from './serve.ts'
import { readSettings } from './setting.ts'
import type { Terminal } from './terminal.ts'

/**
 * A demo must neither write into a laboratory's record nor tell anybody of events that never were: what its settings files say of
 * that does not count. The command line does.
 */
export const demoFlags: { [name: string]: string } = {
  document_db_url: 'sqlite:.madsci/demo.db',
  log_level: 'warn',
  enable_registry_resolution: 'false',
  fanout: '[]',
  otlp_forward_url: '',
  email_alerts: '',
  alert_channels: '{}',
  retention_enabled: 'false',
  backup_enabled: 'false',
}

const storeVariables = variablesOf('document_db_url', settings.document_db_url)

/** The receiver and a simulated laboratory, until a signal comes; its figures move on one line. */
export async function demo(flags: { [name: string]: string }, terminal: Terminal): Promise<number> {
  const own = { ...demoFlags }
  // A store that the environment names is meant for what is started here; one of a settings file is the laboratory's.
  if (storeVariables.some((name) => terminal.environment[name])) delete own.document_db_url
  const config = readSettings(terminal, { ...own, ...flags })
  const log = createLog(config, terminal)
  const receiver = await openReceiver(config, log, terminal).catch((error: unknown) => {
    throw explainSecond(error, config)
  })
  const spoolDir = resolve(terminal.workingDirectory, '.madsci/demo-spool')
  const lab = startLab({ url: receiver.url, spoolDir, speed: 5 })
  const { stdout } = terminal
  stdout.write(
    `a laboratory of five nodes is at work, see ${receiver.url} in a browser; ctrl-C ends it\n${toSteps(terminal, 'meanwhile, in another terminal', commandsFor(receiver.url, config))}`,
  )

  let storedBefore = 0
  const showFigures = () => {
    const stored = receiver.metric.total('events_stored')
    const { emitted, workflowsRunning, workflowsComplete, workflowsFailed } = lab.figures
    const line =
      `${emitted} sent  ${stored} stored, ${stored - storedBefore}/s  ` +
      `workflows: ${workflowsRunning} running, ${workflowsComplete} done, ${workflowsFailed} failed`
    storedBefore = stored
    if (stdout.isTTY) stdout.control('\r\x1b[K')
    // One that wraps cannot be written over.
    stdout.write(stdout.isTTY ? line.slice(0, (stdout.columns ?? 80) - 1) : `${line}\n`)
  }
  const timer = setInterval(showFigures, 1000)
  await aborted(terminal.stopping)
  clearInterval(timer)
  await lab.close()
  showFigures()
  stdout.write('\n')
  const code = await closeReceiver(receiver, log, terminal)
  const [, ...questions] = commandsFor(receiver.url, config)
  const again = `serve --document_db_url=${showUrl(config.documentDbUrl)}${placeOption(receiver.url)}`
  stdout.write(toSteps(terminal, 'what it did is still there', [again, ...questions]))
  return code
}

/** The address is said where it is not the usual one. */
const placeOption = (url: string) => (new URL(url).port === '8001' ? '' : ` --server_url=${url}`)

/** What to try first. */
function commandsFor(url: string, { documentDbUrl }: Config): string[] {
  const place = placeOption(url)
  return [
    `tail${place}`,
    `query --level=error${place}`,
    `query '--q=node:robot-arm since:1h'${place}`,
    `utilization summary --by=node${place}`,
    `doctor --document_db_url=${showUrl(documentDbUrl)}${place}`,
  ]
}

/** What to do when a demo runs already on the same file. */
function explainSecond(error: unknown, { serverUrl, documentDbUrl }: Config): unknown {
  if (!(error instanceof EventError) || error.code !== 'EVT_STORE_LOCKED') return error
  const other = new URL(serverUrl)
  other.port = String(Number(other.port || 80) + 1)
  const text = `${error.message}. A demo or a receiver runs on this file already: end it with ctrl-C where it was started, or start one beside it: demo --server_url=${showUrl(other)} --document_db_url=${showUrl(documentDbUrl).replace(/\.db$/, '')}-2.db`
  return new EventError('EVT_STORE_LOCKED', text, { cause: error.cause })
}

/** Who started it by npm has no command of ours in the terminal. */
function toSteps({ environment }: Terminal, title: string, commands: readonly string[]): string {
  const isByNpm = Boolean(environment.npm_lifecycle_event)
  const command = isByNpm ? 'npx madsci-events' : 'madsci-events'
  // Elsewhere npx would ask a registry for a package of that name.
  const place = isByNpm ? ' in this folder:' : ':'
  return `${title}${place}\n${commands.map((rest) => `  ${command} ${rest}\n`).join('')}`
}
