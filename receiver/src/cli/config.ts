import { describeUnknown, type SettingName, settings } from '../config/config.ts'
import { toOrigins } from '../config/show.ts'
import type { CommandCall } from './call.ts'
import { readSettings } from './setting.ts'
import type { Terminal } from './terminal.ts'
import { toFit } from './wrap.ts'

const unsetText = (name: string) =>
  settings[name as SettingName]?.unit.includes('`none`') ? 'none' : 'not set'

/** Prints the settings that count. Throws EVT_CONFIG with all problems of settings that are wrong. */
export async function showEffective({ options, flags }: CommandCall, terminal: Terminal): Promise<number> {
  const config = readSettings(terminal, flags)
  const { unknown } = config
  const ignored = `ignored: ${unknown.map(describeUnknown).join('; ')}`
  const origins = toOrigins(config).filter(({ origin }) => !options.given || origin !== undefined)
  if (options.json) {
    const entries = origins.map(({ name, value, origin }) => [name, { value, from: origin ?? 'default' }])
    terminal.stdout.write(`${JSON.stringify(Object.fromEntries(entries))}\n`)
    if (unknown.length > 0) terminal.stderr.line(ignored)
    return 0
  }
  if (origins.length === 0) terminal.stdout.line('nothing is set; every setting has its default')
  const width = Math.max(0, ...origins.map(({ name }) => name.length))
  for (const { name, value, origin } of origins) {
    const text = value === null ? unsetText(name) : typeof value === 'string' ? value : JSON.stringify(value)
    const line = `${name.padEnd(width)}  ${text}${origin === undefined ? '' : `    (${origin})`}`
    for (const one of toFit(line, width + 2, terminal.stdout)) terminal.stdout.line(one)
  }
  if (unknown.length > 0) terminal.stdout.line(ignored)
  for (const text of config.warnings) terminal.stderr.line(text)
  return 0
}
