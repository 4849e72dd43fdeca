import { parseArgs } from 'node:util'
import { EventError } from '@madsci-events/sdk/event'
import { settings } from '../config/config.ts'
import { variablesOf } from '../config/source.ts'
import { version } from '../receiver.ts'
import type { CommandCall } from './call.ts'
import { demo } from './demo.ts'
import { backup, query, tail } from './remote.ts'
import { serve } from './serve.ts'
import type { Terminal } from './terminal.ts'
import { exportEvents, importFrom, restore } from './transfer.ts'

interface Command {
  about: string
  /** Named arguments, for the help; `…?` may be left out. */
  arguments?: readonly string[]
  /** Beside the settings: text, or 'flag' for one without a value. */
  options?: { [name: string]: { about: string; kind?: 'flag' } }
  /** Gives the exit code. */
  run: (call: CommandCall, terminal: Terminal) => Promise<number>
}

const json = { json: { about: 'answers as JSON, one line', kind: 'flag' } } as const
const filters = {
  number: { about: 'at most so many; 0 = no limit (100)' },
  level: { about: 'least level, as a name or a number' },
  start_time: { about: 'not before' },
  end_time: { about: 'not after' },
  include_archived: { about: 'archived ones too', kind: 'flag' },
} as const
const serveWith =
  (run: (flags: { [name: string]: string }, terminal: Terminal) => Promise<number>): Command['run'] =>
  ({ flags }, terminal) =>
    run(flags, terminal)

const commands: { [name: string]: Command } = {
  serve: { about: 'start the receiver', run: serveWith(serve) },
  demo: {
    about: 'start the receiver with a simulated laboratory, on a store of its own',
    run: serveWith(demo),
  },
  query: {
    about: 'events of a running receiver (server_url), newest first, or those that match a selector',
    arguments: ['SELECTOR?'],
    options: { ...filters, ...json },
    run: query,
  },
  tail: {
    about: 'new events of a running receiver (server_url) as they are stored',
    arguments: ['SELECTOR?'],
    options: { level: filters.level, ...json },
    run: tail,
  },
  export: {
    about: 'all events of the database, or of a backup, to a file or standard output, without a cap',
    arguments: ['FILE?'],
    options: {
      format: { about: 'ndjson, csv or otlp (ndjson)' },
      from: { about: 'sqlite:PATH, mongodb://… or the folder of a backup (document_db_url)' },
      level: filters.level,
      start_time: filters.start_time,
      end_time: filters.end_time,
    },
    run: exportEvents,
  },
  import: {
    about: 'events from elsewhere into the database, mended; it may be stopped and run again',
    arguments: ['FROM'],
    options: {
      promote: { about: 'typed events that were stored as log_* get their type', kind: 'flag' },
      zone: { about: 'IANA zone of times without a zone' },
      text: { about: 'text lines of a log file of the Python client too; they have no id', kind: 'flag' },
      report: { about: 'file for a line about each repair and refusal' },
      ...json,
    },
    run: importFrom,
  },
  backup: {
    about: 'have a running receiver (server_url) make a backup',
    options: { description: { about: 'becomes part of its name' }, ...json },
    run: backup,
  },
  restore: {
    about: 'a backup into the database; verifies checksum, number and every id',
    arguments: ['FOLDER'],
    options: json,
    run: restore,
  },
}

/** Runs one command line. Exit codes: 0 done, 1 failed (a setting, the store, a port), 2 the command line is wrong. */
export async function runCommand(args: string[], terminal: Terminal): Promise<number> {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    terminal.stderr.write(`${(error as Error).message}\nmadsci-events --help tells what there is.\n`)
    return 2
  }
  const { help, version: wantsVersion, ...values } = parsed.values
  if (wantsVersion) {
    terminal.stdout.write(`${version}\n`)
    return 0
  }
  const [name, ...rest] = parsed.positionals
  if (help || name === undefined) {
    terminal.stdout.write(toHelp())
    return help ? 0 : 2
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  const fault = command ? findFault(command, rest, values) : `'${name}' is no command here.`
  if (!command || fault !== undefined) {
    terminal.stderr.write(`${fault}\nmadsci-events --help tells what there is.\n`)
    return 2
  }
  try {
    return await command.run(toCall(command, rest, values), terminal)
  } catch (error) {
    const text =
      error instanceof EventError ? `${error.code}: ${error.message}` : String((error as Error).stack)
    terminal.stderr.write(`${text}\n`)
    return 1
  }
}

type Values = { [name: string]: string | boolean | undefined }

function findFault(command: Command, rest: readonly string[], values: Values): string | undefined {
  const wanted = command.arguments ?? []
  const extra = rest[wanted.length]
  if (extra !== undefined) return `'${extra}' is no command here.`
  const missing = wanted.slice(rest.length).find((one) => !one.endsWith('?'))
  if (missing !== undefined) return `${missing} is missing.`
  const foreign = Object.keys(values).find(
    (one) => !Object.hasOwn(settings, one) && !Object.hasOwn(command.options ?? {}, one),
  )
  return foreign && `--${foreign} is no option of this command.`
}

function toCall(command: Command, rest: string[], values: Values): CommandCall {
  const ours = Object.entries(values).filter(([name]) => Object.hasOwn(command.options ?? {}, name))
  const theirs = Object.entries(values).filter(([name]) => !Object.hasOwn(command.options ?? {}, name))
  return {
    arguments: rest,
    options: Object.fromEntries(ours) as CommandCall['options'],
    flags: Object.fromEntries(theirs) as { [name: string]: string },
  }
}

function parse(args: string[]) {
  const flag = { type: 'string' } as const
  const options = Object.values(commands).flatMap((command) => Object.entries(command.options ?? {}))
  return parseArgs({
    // Settings have underscores; who types dashes means the same.
    args: args.map((arg) => arg.replace(/^--[a-z-]+/, (name) => `--${name.slice(2).replaceAll('-', '_')}`)),
    allowPositionals: true,
    options: {
      ...Object.fromEntries(Object.keys(settings).map((name) => [name, flag])),
      ...Object.fromEntries(
        options.map(([name, { kind }]) => [name, kind === 'flag' ? ({ type: 'boolean' } as const) : flag]),
      ),
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'V' },
    },
  })
}

function toHelp(): string {
  const lines = ['Usage: madsci-events COMMAND [--SETTING=VALUE …]', '', 'Commands:']
  for (const [name, command] of Object.entries(commands)) {
    lines.push(`  ${[name, ...(command.arguments ?? [])].join(' ').padEnd(18)}${command.about}`)
    for (const [option, { about, kind }] of Object.entries(command.options ?? {}))
      lines.push(`      --${option}${kind === 'flag' ? '' : '=VALUE'}  ${about}`)
  }
  lines.push('', 'Settings, as --name=value or as an environment variable:')
  for (const [name, one] of Object.entries(settings)) {
    lines.push(
      `  --${name}=${one.fallback}`,
      `      ${one.about} (${one.unit}; ${variablesOf(name, one).join(', ')})`.replaceAll('`', ''),
    )
  }
  lines.push(
    '',
    'Examples:',
    '  madsci-events serve',
    '  madsci-events serve --server_url=http://0.0.0.0:8001 --document_db_url=mongodb://localhost:27017',
    '  madsci-events demo --server_url=http://localhost:9001',
    '  madsci-events query --level=error --number=20',
    `  madsci-events tail '{"source.node_id": "01JJ4S0WNGEF5FQAZG5KDGJRBV"}'`,
    '  madsci-events export night.ndjson --start_time=2026-11-23T18:00:00Z',
    '  madsci-events import mongodb://localhost:27017 --promote --zone=Europe/Berlin',
    '  madsci-events import ~/.madsci/logs/my_node.log',
    '  madsci-events restore .madsci/backups/events/madsci_events_backup_20261123_193805_732000_manual_backup',
    '',
  )
  return lines.join('\n')
}
