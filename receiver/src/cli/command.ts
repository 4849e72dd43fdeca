import { parseArgs } from 'node:util'
import { EventError } from '@madsci-events/sdk/event'
import { closestTo } from '../closest.ts'
import { settings } from '../config/config.ts'
import { toToken } from '../search/line.ts'
import { isSubjectKind } from '../subject.ts'
import { showUrlsIn, showUrlsInJson } from '../url.ts'
import { version } from '../version.ts'
import type { CommandCall } from './call.ts'
import { toCommandHelp, toHelp, toSettingsHelp } from './help.ts'
import { type Command, type CommandOption, commands } from './table.ts'
import { createTerminal, type Output, type Process } from './terminal.ts'
import { isWrong } from './wrong.ts'

/** Runs one command line. Exit codes: 0 done, 1 failed (a setting, the store, a port), 2 the command line is wrong. */
export async function runCommand(args: string[], process: Process): Promise<number> {
  const terminal = createTerminal(process)
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    const known = args.find((arg) => Object.hasOwn(commands, arg))
    terminal.stderr.line(showUrlsIn((error as Error).message))
    terminal.stderr.line(`madsci-events ${known ? `${known} ` : ''}--help tells what there is.`)
    return 2
  }
  const { help, version: wantsVersion, ...values } = parsed.values
  if (wantsVersion) {
    terminal.stdout.write(`${version}\n`)
    return 0
  }
  const [first, second] = parsed.positionals
  // `help COMMAND` is `COMMAND --help`.
  const name = first === 'help' ? second : first
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (name === undefined && (help || first === undefined || first === 'help')) {
    const asked = help || first === 'help'
    ;(asked ? terminal.stdout : terminal.stderr).write(toHelp())
    return asked ? 0 : 2
  }
  if (first === 'help' && second === 'settings') {
    terminal.stdout.write(toSettingsHelp())
    return 0
  }
  if (command && (help || first === 'help')) {
    terminal.stdout.write(toCommandHelp(name!, command))
    return 0
  }
  const rest = parsed.positionals.slice(1)
  const fault = command
    ? findFault(command, rest, values)
    : `'${name}' is no command here${otherWords[name!] ?? meant(name!, Object.keys(commands))}`
  if (!command || fault !== undefined) {
    terminal.stderr.line(showUrlsIn(String(fault)))
    terminal.stderr.line(`madsci-events ${command ? `${name} ` : ''}--help tells what there is.`)
    return 2
  }
  try {
    return await command.run(toCall(command, rest, values), terminal)
  } catch (error) {
    if ((values as Values).json) terminal.stderr.write(`${toErrorJson(error)}\n`)
    else showError(error, terminal.stderr)
    return isWrong(error) ? 2 : 1
  }
}

/** One line, but for the problems of settings and for choices, which are lists, and for a bug, which has a stack. */
function showError(error: unknown, stderr: Output): void {
  if (error instanceof EventError) {
    const { code, message, detail } = error
    if (isWrong(error)) {
      stderr.line(showUrlsIn(message))
      return
    }
    const isList = Array.isArray(detail) && detail.every((one) => typeof one === 'string')
    const [first, ...more] =
      code === 'EVT_CONFIG' && isList
        ? detail
        : [message, ...(code === 'EVT_REFUSED' && isList ? detail : [])]
    stderr.line(`${code}: ${showUrlsIn(first ?? '')}`)
    for (const problem of more) stderr.line(showUrlsIn(problem))
    return
  }
  const { name, message, stack = '' } = error as Error
  stderr.line(`${name}: ${showUrlsIn(message)}`)
  for (const frame of stack.split('\n').filter((line) => line.startsWith('    at '))) stderr.line(frame)
}

function toErrorJson(error: unknown): string {
  const { code, message, detail } =
    error instanceof EventError ? error : { code: 'EVT_INTERNAL', message: String(error), detail: null }
  return showUrlsInJson(JSON.stringify({ error: { code, message, detail } }))
}

type Values = { [name: string]: string | boolean | undefined }

function findFault(command: Command, rest: readonly string[], values: Values): string | undefined {
  const wanted = command.arguments ?? []
  const extra = rest[wanted.length]
  if (extra !== undefined) return `'${extra}' is one argument too many.`
  const missing = wanted.slice(rest.length).find((one) => !one.endsWith('?'))
  if (missing !== undefined) return `${missing} is missing, as in madsci-events ${command.examples[0]}`
  const foreign = Object.keys(values).find(
    (one) => !Object.hasOwn(settings, one) && !Object.hasOwn(command.options ?? {}, one),
  )
  return (
    foreign && `--${foreign} is no option of this command${meantOption(foreign, command, values[foreign])}`
  )
}

/** What people look for under other names. */
const otherWords: { [word: string]: string } = Object.assign(Object.create(null), {
  health: ': did you mean doctor?',
  status: ': did you mean doctor?',
  logs: ': did you mean tail?',
  start: ': did you mean serve?',
})

/** The end of a sentence about a word that is not known. */
function meant(word: string, names: Iterable<string>, prefix = ''): string {
  const name = closestTo(word, names)
  return name === undefined ? '.' : `: did you mean ${prefix}${name}?`
}

const shellQuoted = (word: string) =>
  /^[\w=:.,-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** Options of the command come before settings, which are many. */
function meantOption(
  name: string,
  command: Command | undefined,
  value: string | boolean | undefined,
): string {
  if (isSubjectKind(name) && command?.options?.q)
    return `: use ${shellQuoted(`--q=${toToken(name, typeof value === 'string' && value !== '' ? value : 'NAME')}`)}`
  const own = [...Object.keys(command?.options ?? {}), 'help', 'version']
  return meant(name, closestTo(name, own) === undefined ? Object.keys(settings) : own, '--')
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
  const all = Object.values(commands).flatMap((command) => Object.entries(command.options ?? {}))
  // Of equal names those of the command itself count: `--text` is a flag of import, and takes words for query.
  const command = commands[args.find((arg) => Object.hasOwn(commands, arg)) ?? '']
  const own = command?.options ?? {}
  const known = {
    ...Object.fromEntries(Object.keys(settings).map((name) => [name, flag])),
    ...Object.fromEntries(
      [...all, ...Object.entries<CommandOption>(own)].map(([name, { kind }]) => [
        name,
        kind === 'flag' ? ({ type: 'boolean' } as const) : flag,
      ]),
    ),
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'V' },
  } as { [name: string]: { type: 'string' | 'boolean'; short?: string } }
  // Settings have underscores; who types dashes means the same.
  const plain = args.map((arg) =>
    arg.replace(/^--[a-z-]+/, (name) => `--${name.slice(2).replaceAll('-', '_')}`),
  )
  const wanted = { args: plain, allowPositionals: true, options: known } as const
  const fault = findOptionFault(parseArgs({ ...wanted, strict: false, tokens: true }).tokens, known, command)
  if (fault !== undefined) throw new Error(fault)
  return parseArgs(wanted)
}

interface OptionToken {
  kind: string
  name?: string
  /** As it was typed: with its dashes. */
  rawName?: string
  value?: string | undefined
  inlineValue?: boolean | undefined
}

/** In our words, what `parseArgs` would say of options in its own. */
function findOptionFault(
  tokens: readonly OptionToken[],
  known: { readonly [name: string]: { readonly type: 'string' | 'boolean'; readonly short?: string } },
  command: Command | undefined,
): string | undefined {
  for (const { kind, name, rawName, value, inlineValue } of tokens) {
    if (kind !== 'option' || name === undefined || rawName === undefined) continue
    const isLong = rawName.startsWith('--')
    if (!Object.hasOwn(known, name) || (!isLong && rawName !== `-${known[name]!.short}`))
      return `${rawName} is no option here${isLong ? meantOption(name, command, value) : '.'}`
    const takesValue = known[name]!.type === 'string'
    if (takesValue && (value === undefined || (!inlineValue && value.startsWith('-'))))
      return `${rawName} takes a value: ${rawName}=VALUE.`
    if (!takesValue && value !== undefined) return `${rawName} takes no value.`
  }
  return undefined
}
