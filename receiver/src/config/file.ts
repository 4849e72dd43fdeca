import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { parse as parseDotenv } from 'dotenv'
import { parse as parseToml } from 'smol-toml'
import { parse as parseYaml } from 'yaml'
import type { Setting } from './setting.ts'
import { fromEnvironment, type Source } from './source.ts'
import { toText } from './value.ts'

type Kind = { names: readonly string[]; parse: (text: string) => unknown }

const settingsFiles = (ending: string) =>
  ['settings', 'event.settings', 'events.settings'].map((name) => name + ending)
/** Strongest first; of one kind, the later name is the stronger one. */
const kinds: Kind[] = [
  { names: ['.env', 'event.env', 'events.env'], parse: (text) => parseDotenv(text) },
  { names: settingsFiles('.json'), parse: parseJsonFile },
  { names: settingsFiles('.toml'), parse: (text) => parseToml(text) },
  { names: settingsFiles('.yaml'), parse: (text) => parseYaml(text) },
]

/**
 * MADSci's settings files, strongest first. Each name is looked for on its own, from `folder` upwards to the first folder with
 * `.madsci/` or `.git`, the home folder or the root (these included; ten steps at most), then in `managers/` and `config/` of `folder`.
 * What cannot be read or parsed ends up in `problems`.
 */
export function fromFiles(folder: string, problems: string[]): Source[] {
  return kinds.flatMap(({ names, parse }) =>
    names.toReversed().flatMap((name) => {
      const path = findFile(name, folder)
      if (path === undefined) return []
      try {
        const values = parse(readFileSync(path, 'utf8')) ?? {}
        if (typeof values !== 'object' || Array.isArray(values))
          throw new Error('it holds no names with values')
        return [
          parse === kinds[0]!.parse
            ? fromEnvironment(values as { [name: string]: string }, ` in ${path}`)
            : fromValues(values as { [name: string]: unknown }, path),
        ]
      } catch (error) {
        // Only the first line: what follows quotes the file.
        problems.push(`${path} cannot be read: ${(error as Error).message.split('\n')[0]}`)
        return []
      }
    }),
  )
}

/** The parser's own message quotes the text around the fault, which may be a secret. */
function parseJsonFile(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const where = /line \d+ column \d+/.exec((error as Error).message)?.[0]
    throw new Error(`it is no JSON${where ? ` (${where})` : ''}`)
  }
}

/** MADSCI_SETTINGS_DIR, else the working directory. */
export function toSettingsFolder(
  environment: { [name: string]: string | undefined },
  workingDirectory: string,
): string {
  const folder = environment.MADSCI_SETTINGS_DIR
  return folder ? resolve(workingDirectory, folder.replace(/^~(?=\/|$)/, homedir())) : workingDirectory
}

function findFile(name: string, folder: string): string | undefined {
  let current = folder
  for (let step = 0; step <= 10; step++) {
    if (isFile(join(current, name))) return join(current, name)
    const isBoundary = exists(join(current, '.madsci')) || exists(join(current, '.git'))
    if (isBoundary || current === homedir() || dirname(current) === current) break
    current = dirname(current)
  }
  return ['managers', 'config'].map((below) => join(folder, below, name)).find(isFile)
}

const exists = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined
const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true

/** Names with or without `event_` in front. */
function fromValues(values: { [name: string]: unknown }, path: string): Source {
  const isOfEverybody = basename(path).startsWith('settings.')
  return (name: string, { aliases = [], clashes }: Setting<unknown>) => {
    const bare = isOfEverybody && clashes ? [] : [name, ...aliases]
    const key = [...bare, `event_${name}`].find((one) => Object.hasOwn(values, one))
    return key === undefined ? undefined : { text: toText(values[key]), origin: `${key} in ${path}` }
  }
}
