import { settings } from '../config/config.ts'
import { variablesOf } from '../config/source.ts'
import { type Command, type CommandOption, commands } from './table.ts'

/** What every command's exit code means; `codes` of a command says more. */
export const exitCodes: { [code: number]: string } = {
  0: 'done',
  1: 'it failed: a setting, the database, a port, the answer of a receiver; standard error says why',
  2: 'the command line is wrong',
}

const describeOption = ([name, { about, kind }]: [string, CommandOption]) =>
  `  --${`${name}${kind === 'flag' ? '' : '=VALUE'}`.padEnd(22)}${about}`

/** The help of the program. */
export function toHelp(): string {
  const lines = ['Usage: madsci-events COMMAND [--SETTING=VALUE …]', '', 'Commands:']
  for (const [name, { about }] of Object.entries(commands)) lines.push(`  ${name.padEnd(13)}${about}`)
  lines.push(
    '',
    'madsci-events COMMAND --help tells more of one of them.',
    '',
    'Settings, as --name=value, as an environment variable, or in a settings file:',
  )
  for (const [name, one] of Object.entries(settings)) {
    const { fallback, about, unit } = one
    lines.push(
      `  --${name}=${fallback}`,
      `      ${about} (${unit}; ${variablesOf(name, one).join(', ')})`.replaceAll('`', ''),
    )
  }
  lines.push('', 'Examples:')
  for (const { examples } of Object.values(commands)) lines.push(`  madsci-events ${examples[0]}`)
  return `${lines.join('\n')}\n`
}

/** The help of one command. */
export function toCommandHelp(name: string, command: Command): string {
  const words = (command.arguments ?? []).map((one) => (one.endsWith('?') ? `[${one.slice(0, -1)}]` : one))
  const lines = [
    `Usage: ${['madsci-events', name, ...words, '[--OPTION …] [--SETTING=VALUE …]'].join(' ')}`,
    '',
    `${command.about[0]!.toUpperCase()}${command.about.slice(1)}.`,
  ]
  const options = Object.entries(command.options ?? {})
  if (options.length > 0) lines.push('', 'Options:', ...options.map(describeOption))
  lines.push(
    '',
    'Every setting may be given as --name=value: madsci-events --help lists them, madsci-events config shows what counts.',
    '',
    'Examples:',
    ...command.examples.map((example) => `  madsci-events ${example}`),
    '',
    'Exit codes:',
    ...Object.entries({ ...exitCodes, ...command.codes }).map(([code, about]) => `  ${code}  ${about}`),
  )
  return `${lines.join('\n')}\n`
}
