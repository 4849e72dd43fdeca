import { settings } from '../config/config.ts'
import { variablesOf } from '../config/source.ts'
import { type Command, type CommandOption, commands } from './table.ts'
import { wrap } from './wrap.ts'

/** What every command's exit code means; `codes` of a command says more. */
export const exitCodes: { [code: number]: string } = {
  0: 'done',
  1: 'it failed: a setting, the database, a port, the answer of a receiver; standard error says why',
  2: 'the command line is wrong',
}

const describeOption = ([name, { about, kind }]: [string, CommandOption]) =>
  wrap(`  --${`${name}${kind === 'flag' ? '' : '=VALUE'}`.padEnd(22)}${about}`, 26)

/** The help of the program. */
export function toHelp(): string {
  const lines = ['Usage: madsci-events COMMAND [--SETTING=VALUE …]', '', 'Commands:']
  for (const [name, { about }] of Object.entries(commands))
    lines.push(...wrap(`  ${name.padEnd(13)}${about}`, 15))
  lines.push(
    '',
    'madsci-events COMMAND --help tells more of one of them,',
    'madsci-events help settings lists the settings.',
    '',
    'Examples:',
  )
  for (const { examples } of Object.values(commands)) lines.push(...wrap(`  madsci-events ${examples[0]}`, 4))
  return `${lines.join('\n')}\n`
}

/** Every setting with its default. */
export function toSettingsHelp(): string {
  const lines = wrap('Settings, as --name=value, as an environment variable, or in a settings file:', 0)
  for (const [name, one] of Object.entries(settings)) {
    const { fallback, about, unit } = one
    const text = `${about} (${unit}; ${variablesOf(name, one).join(', ')})`.replaceAll('`', '')
    lines.push(`  --${name}=${fallback}`, ...wrap(`      ${text}`, 6))
  }
  return `${lines.join('\n')}\n`
}

/** The help of one command. */
export function toCommandHelp(name: string, command: Command): string {
  const words = (command.arguments ?? []).map((one) => (one.endsWith('?') ? `[${one.slice(0, -1)}]` : one))
  const options = Object.entries(command.options ?? {})
  const optionWords = options.length > 0 ? ['[--OPTION …]'] : []
  const lines = [
    ...wrap(
      `Usage: ${['madsci-events', name, ...words, ...optionWords, '[--SETTING=VALUE …]'].join(' ')}`,
      7,
    ),
    '',
    ...wrap(`${command.about[0]!.toUpperCase()}${command.about.slice(1)}.`, 0),
  ]
  if (options.length > 0) lines.push('', 'Options:', ...options.flatMap(describeOption))
  lines.push(
    '',
    'Every setting may be given as --name=value: madsci-events help settings lists',
    'them, madsci-events config shows what counts.',
    '',
    'Examples:',
    ...command.examples.flatMap((example) => wrap(`  madsci-events ${example}`, 4)),
    '',
    'Exit codes:',
    ...Object.entries({ ...exitCodes, ...command.codes }).flatMap(([code, about]) =>
      wrap(`  ${code}  ${about}`, 5),
    ),
  )
  return `${lines.join('\n')}\n`
}
