import { lstatSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { parse as parseYaml } from 'yaml'
import { foreignOwner } from '../private-file.ts'
import { parseDotenv } from './dotenv.ts'
import type { Setting } from './setting.ts'
import { fromEnvironment, type Source, unknownVariables } from './source.ts'
import { settingText } from './value.ts'

type Environment = { readonly [name: string]: string | undefined }
type Kind = {
  names: readonly string[]
  parse: (
    text: string,
    environment: Environment,
    onPassedOver: (line: number, text: string) => void,
  ) => unknown
}

const settingsFiles = (ending: string) =>
  ['settings', 'event.settings', 'events.settings'].map((name) => name + ending)
/** Strongest first; of one kind, the later name is the stronger one. */
const kinds: Kind[] = [
  { names: ['.env', 'event.env', 'events.env'], parse: parseDotenv },
  { names: settingsFiles('.json'), parse: parseJsonFile },
  { names: settingsFiles('.toml'), parse: parseTomlFile },
  { names: settingsFiles('.yaml'), parse: parseYamlText },
]

/** YAML, and so JSON too. Throws what the parser throws. */
export function parseYamlText(text: string): unknown {
  return parseYaml(text)
}

const maxFileBytes = 1024 * 1024

/**
 * MADSci's settings files, strongest first. Each name is looked for on its own, from `folder` upwards to the first folder with
 * `.madsci/` or `.git`, the home folder or the root (these included; ten steps at most), then in `managers/` and `config/` of `folder`.
 * What cannot be read or parsed ends up in `problems`, names that look like ours and are not in `unknown`. So does, in `problems`,
 * a file that another user may have planted; below a folder that somebody named (`isNamed`) it is read, with a line in `warnings`.
 */
export function fromFiles(
  folder: string,
  settings: { [name: string]: Setting<unknown> },
  { problems, unknown, warnings, isNamed, environment }: FileFindings,
): Source[] {
  for (const name of settingsFiles('.yml')) {
    const path = findFile(name, folder)
    if (path !== undefined) warnings.push(`${path} is not read: the files of settings end in .yaml`)
  }
  return kinds.flatMap(({ names, parse }) =>
    names.toReversed().flatMap((name) => {
      const path = findFile(name, folder)
      if (path === undefined) return []
      const { refusal, warning } = judgeOwner(path)
      const isTold = isNamed && path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
      if (refusal !== undefined && !isTold) {
        problems.push(refusal)
        return []
      }
      const doubt = refusal ?? warning
      if (doubt !== undefined) warnings.push(doubt)
      try {
        if (statSync(path).size > maxFileBytes) throw new Error('it is larger than 1 MiB')
        const text = readFileSync(path, 'utf8')
        const values = (parse(text, environment, (line, passed) => {
          // A file of variables may be of other programs, too.
          const name = passed.startsWith('EVENT_') ? passed.split(' ', 1)[0]!.trimEnd() : undefined
          if (name !== undefined)
            warnings.push(`${path}, line ${line}: ${name} is not read: a line is NAME=value`)
        }) ?? {}) as { [name: string]: string }
        if (typeof values !== 'object' || Array.isArray(values))
          throw new Error('it holds no names with values')
        const isEnvironment = kinds[0]!.names.includes(name)
        const strange = isEnvironment
          ? unknownVariables(values, settings)
          : unknownNames(values, path, settings)
        unknown.push(...strange.map((one) => `${one} in ${path}`))
        return [isEnvironment ? fromEnvironment(values, ` in ${path}`) : fromValues(values, path)]
      } catch (error) {
        // Only the first line: what follows quotes the file.
        problems.push(`${path} cannot be read: ${(error as Error).message.split('\n')[0]}`)
        return []
      }
    }),
  )
}

export interface FileFindings {
  problems: string[]
  unknown: string[]
  warnings: string[]
  /** The operator named the folder. */
  isNamed: boolean
  /** For variables that files name. */
  environment: Environment
}

/** Who could have written the file, beside this user and root: the settings say where events go. */
function judgeOwner(path: string): { refusal?: string; warning?: string } {
  const [link, file] = [lstatSync(path), statSync(path)]
  const owner = foreignOwner(link) ?? foreignOwner(file)
  const remedy = 'or name its folder in MADSCI_SETTINGS_DIR'
  if (owner !== undefined) {
    return {
      refusal: `${path} belongs to another user (uid ${owner}), so it is not read: give it to the user that runs the receiver (chown), remove it, ${remedy}`,
    }
  }
  if (process.getuid === undefined) return {}
  if ((file.mode & 0o002) !== 0) {
    return {
      refusal: `${path} can be written by every user, so it is not read: take that right from it (chmod o-w), ${remedy}`,
    }
  }
  const isOfForeignGroup = (file.mode & 0o020) !== 0 && file.gid !== process.getgid?.() && file.gid !== 0
  if (!isOfForeignGroup) return {}
  return {
    warning: `${path} can be written by the group ${file.gid}: whoever is in it decides where events go (chmod g-w)`,
  }
}

function parseTomlFile(text: string): unknown {
  try {
    return parseToml(text)
  } catch (error) {
    const { line, column } = error as { line?: number; column?: number }
    throw new Error(`it is no TOML${line === undefined ? '' : ` (line ${line} column ${column})`}`)
  }
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
export const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true

const isOfEverybody = (path: string) => basename(path).startsWith('settings.')

/** In a file of the whole laboratory only names with `event_` in front can be meant for us. */
function unknownNames(
  values: object,
  path: string,
  settings: { [name: string]: Setting<unknown> },
): string[] {
  const known = new Set(
    Object.entries(settings).flatMap(([name, { aliases = [] }]) => [name, `event_${name}`, ...aliases]),
  )
  return Object.keys(values).filter(
    (name) =>
      !known.has(name) &&
      (isOfEverybody(path) ? name.startsWith('event_') && !name.startsWith('event_client_') : true),
  )
}

/** Names with or without `event_` in front. */
function fromValues(values: { [name: string]: unknown }, path: string): Source {
  return (name: string, { aliases = [], clashes }: Setting<unknown>) => {
    const bare = isOfEverybody(path) && clashes ? [] : [name, ...aliases]
    const key = [...bare, `event_${name}`].find((one) => Object.hasOwn(values, one))
    return key === undefined ? undefined : { text: settingText(values[key]), origin: `${key} in ${path}` }
  }
}
