import { EventError } from '@madsci-events/sdk/event'
import { closestTo } from '../closest.ts'
import { isHttpEndpoint } from '../url.ts'
import { alertSettings } from './alert.ts'
import { backupSettings } from './backup.ts'
import { fanoutSettings } from './fanout.ts'
import { fromFiles, isFolder, toSettingsFolder } from './file.ts'
import { limitSettings } from './limit.ts'
import { managerSettings } from './manager.ts'
import { retentionSettings } from './retention.ts'
import { type Camel, type Setting, toCamel, type ValueOf } from './setting.ts'
import {
  fromEnvironment,
  fromFlags,
  type Given,
  originOf,
  readObject,
  type Source,
  unknownVariables,
} from './source.ts'
import { storeSettings } from './store.ts'
import { telemetrySettings } from './telemetry.ts'
import { utilizationSettings } from './utilization.ts'

/** Every setting, in the order of the table in docs/settings.md. */
export const settings = {
  ...managerSettings,
  ...storeSettings,
  ...alertSettings,
  ...retentionSettings,
  ...backupSettings,
  ...utilizationSettings,
  ...limitSettings,
  ...fanoutSettings,
  ...telemetrySettings,
}
export type SettingName = keyof typeof settings
type SettingValues = { [Name in SettingName as Camel<Name>]: ValueOf<(typeof settings)[Name]> }

/** What an operator sets: each setting under its name in camelCase (`server_url` is `serverUrl`). */
export interface Config extends SettingValues {
  /** The settings that somebody set, as opposed to defaults, and where: `EVENT_SERVER_URL`, `--otlp_port`, … */
  given: ReadonlyMap<SettingName, string>
  /** Where files of the laboratory are looked for: MADSCI_SETTINGS_DIR, else the working directory, if there is one. */
  settingsFolder: string | undefined
  /** Names that look like settings and are none, with where they were found. */
  unknown: string[]
  /** What is allowed and should be looked at, each a sentence. */
  warnings: string[]
}

export interface ReadConfigOptions {
  environment: { [name: string]: string | undefined }
  /** `--name=value` of the command line, the name with underscores. */
  flags?: { [name: string]: string }
  /** Where settings files are looked for; without it, they are not. */
  workingDirectory?: string
  checks?: readonly ConfigCheck[]
}

/** What only the room that uses some settings can judge. Asked when each of them is right by itself. */
export interface ConfigCheck {
  settings: readonly SettingName[]
  /** Each problem begins with the name of its setting. */
  find: (config: Config) => readonly string[]
}

/** A sentence about one of `unknown`: `EVENT_BACKUP_ENABELD is no setting: did you mean backup_enabled?` */
export function describeUnknown(found: string): string {
  const given = found.split(' in ')[0]!
  const isVariable = given.startsWith('EVENT_')
  const [name, ...members] = given
    .toLowerCase()
    .replace(/^event_/, '')
    .split('__')
  const near = closestTo(name!, Object.keys(settings)) ?? name!
  if (!Object.hasOwn(settings, near)) return `${found} is no setting`
  const path = [near]
  for (const member of members) {
    const known: Setting<unknown> = settings[near as SettingName]
    path.push(closestTo(member, Object.keys(known.members ?? {})) ?? member)
  }
  const meant = isVariable ? `EVENT_${path.join('__').toUpperCase()}` : path.join('.')
  return `${found} is no setting: did you mean ${meant}?`
}

const isRetired = (name: string) => name.toUpperCase() === 'EVENT_MANAGER_DEFINITION'

/** What MADSci 0.5 and 0.6 read and this receiver does not: who sets it must not start under another name and id. */
const findRetired = (environment: ReadConfigOptions['environment']): string[] =>
  Object.keys(environment)
    .filter((name) => isRetired(name) && environment[name])
    .map(
      (name) =>
        `${name} is of MADSci 0.5 and 0.6 and is not read: set EVENT_MANAGER_NAME and EVENT_MANAGER_ID to the name and the id in that file`,
    )

/** Flags over environment over settings files over defaults. Throws EVT_CONFIG with all problems at once in `detail`. */
export function readConfig(options: ReadConfigOptions): Config {
  const { environment, flags = {}, workingDirectory, checks = [] } = options
  const problems = Object.keys(flags)
    .filter((name) => !Object.hasOwn(settings, name))
    .map((name) => `--${name} is no setting`)
  const settingsFolder =
    workingDirectory === undefined ? undefined : toSettingsFolder(environment, workingDirectory)
  problems.push(...findRetired(environment))
  const unknown = unknownVariables(environment, settings).filter((name) => !isRetired(name))
  const warnings: string[] = []
  const isNamed = Boolean(environment.MADSCI_SETTINGS_DIR)
  if (settingsFolder !== undefined && isNamed && !isFolder(settingsFolder))
    problems.push(`MADSCI_SETTINGS_DIR must name a folder that exists: '${settingsFolder}'`)
  const files =
    settingsFolder === undefined
      ? []
      : fromFiles(settingsFolder, settings, { problems, unknown, warnings, isNamed, environment })
  const sources = [fromFlags(flags), fromEnvironment(environment), ...files]
  const given = new Map<SettingName, string>()
  const values: { [name: string]: unknown } = {}
  for (const [name, one] of Object.entries<Setting<unknown>>(settings)) {
    let origin = name
    try {
      const found = one.members ? mergeGiven(name, one, sources) : firstGiven(name, one, sources)
      if (found) {
        origin = found.origin
        given.set(name as SettingName, origin)
      }
      values[toCamel(name)] = one.parse(found?.text ?? one.fallback)
    } catch (error) {
      problems.push(`${originOf(error) ?? origin} ${(error as Error).message}`)
    }
  }
  problems.push(...findSamePort(values as unknown as SettingValues, given))
  warnings.push(...findIneffective(values as Partial<SettingValues>))
  const config: Config = { ...(values as unknown as SettingValues), given, settingsFolder, unknown, warnings }
  for (const { settings: asked, find } of checks) {
    if (!asked.every((name) => Object.hasOwn(values, toCamel(name)))) continue
    problems.push(...find(config).map((text) => withOrigin(text, given)))
  }
  if (problems.length > 0) problems.push(...unknown.map(describeUnknown))
  if (problems.length > 0) throw new EventError('EVT_CONFIG', problems.join('\n'), { detail: problems })
  return config
}

/** What is set and does nothing. */
function findIneffective({
  emailAlerts,
  otelEnabled,
  otelExporter,
  otelEndpoint,
}: Partial<SettingValues>): string[] {
  const found: string[] = []
  if (emailAlerts?.smtpServer === 'smtp.example.com')
    found.push("mails go to smtp.example.com, which is nobody's: set smtp_server of email_alerts")
  if (otelEnabled && otelExporter === 'otlp' && !isHttpEndpoint(otelEndpoint))
    found.push(
      'otel_enabled has no effect: otel_exporter=otlp needs an otel_endpoint like http://collector:4317',
    )
  return found
}

/** One door has one port; 0 is any that is free. */
function findSamePort(
  { serverUrl, otlpPort, grpcPort }: SettingValues,
  given: ReadonlyMap<string, string>,
): string[] {
  const own = serverUrl && Number(serverUrl.port || (serverUrl.protocol === 'https:' ? 443 : 80))
  const ports = { server_url: own, otlp_port: otlpPort, grpc_port: grpcPort }
  const entries = Object.entries(ports)
  return entries.flatMap(([name, port], index) => {
    const [other] = entries.slice(0, index).find(([, one]) => one === port) ?? []
    // A default gives way: its door is not opened.
    if (!port || other === undefined || !given.has(name)) return []
    return [`${name} is the port of ${other}, ${port}: choose another, or none (${given.get(name)})`]
  })
}

/** 'alert_rules[0].selector is needed' → '… (--alert_rules)'. */
function withOrigin(text: string, given: Config['given']): string {
  const origin = given.get(/^\w+/.exec(text)?.[0] as SettingName)
  return origin === undefined ? text : `${text} (${origin})`
}

function firstGiven(name: string, one: Setting<unknown>, sources: Source[]): Given | undefined {
  for (const source of sources) {
    const found = source(name, one)
    if (found) return found
  }
  return undefined
}

/** An object may come in parts from several sources: a password from the environment, the rest from a file. */
function mergeGiven(name: string, one: Setting<unknown>, sources: Source[]): Given | undefined {
  let object: { [name: string]: unknown } = {}
  const origins: string[] = []
  for (const source of sources.toReversed()) {
    const found = source(name, one)
    if (!found) continue
    origins.unshift(found.origin)
    if (found.text === '') object = {}
    else object = { ...object, ...readObject(found, one.example) }
  }
  if (origins.length === 0) return undefined
  const text = Object.keys(object).length === 0 ? '' : JSON.stringify(object)
  return { text, origin: origins.join(', ') }
}
