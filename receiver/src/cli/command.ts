import { parseArgs } from 'node:util'
import { EventError } from '@madsci-events/sdk/event'
import { settings } from '../config.ts'
import { version } from '../receiver.ts'
import { demo } from './demo.ts'
import { serve } from './serve.ts'
import type { Terminal } from './terminal.ts'

interface Command {
  about: string
  /** Gives the exit code. */
  run: (flags: { [name: string]: string }, terminal: Terminal) => Promise<number>
}

const commands: { [name: string]: Command } = {
  serve: { about: 'start the receiver', run: serve },
  demo: { about: 'start the receiver with a simulated laboratory, on a store of its own', run: demo },
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
  const { help, version: wantsVersion, ...flags } = parsed.values
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
  if (!command || rest.length > 0) {
    const word = command ? rest[0] : name
    terminal.stderr.write(`'${word}' is no command here.\nmadsci-events --help tells what there is.\n`)
    return 2
  }
  try {
    return await command.run(flags as { [name: string]: string }, terminal)
  } catch (error) {
    const text =
      error instanceof EventError ? `${error.code}: ${error.message}` : String((error as Error).stack)
    terminal.stderr.write(`${text}\n`)
    return 1
  }
}

function parse(args: string[]) {
  const flag = { type: 'string' } as const
  return parseArgs({
    // Settings have underscores; who types dashes means the same.
    args: args.map((arg) => arg.replace(/^--[a-z-]+/, (name) => `--${name.slice(2).replaceAll('-', '_')}`)),
    allowPositionals: true,
    options: {
      ...Object.fromEntries(Object.keys(settings).map((name) => [name, flag])),
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'V' },
    },
  })
}

function toHelp(): string {
  const lines = ['Usage: madsci-events COMMAND [--SETTING=VALUE …]', '', 'Commands:']
  for (const [name, { about }] of Object.entries(commands)) lines.push(`  ${name.padEnd(8)}${about}`)
  lines.push('', 'Settings, as --name=value or as an environment variable:')
  for (const [name, one] of Object.entries(settings)) {
    lines.push(
      `  --${name}=${one.fallback}`,
      `      ${one.about} (${one.unit}; ${one.variables.join(', ')})`.replaceAll('`', ''),
    )
  }
  lines.push(
    '',
    'Examples:',
    '  madsci-events serve',
    '  madsci-events serve --server_url=http://0.0.0.0:8001 --document_db_url=mongodb://localhost:27017',
    '  madsci-events demo --server_url=http://localhost:9001',
    '',
  )
  return lines.join('\n')
}
