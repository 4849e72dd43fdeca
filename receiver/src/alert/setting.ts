import { readFileSync } from 'node:fs'
import { EventError } from '@madsci-events/sdk/event'
import type { Channel } from './channel.ts'
import { createEmailChannel, type EmailOptions } from './email.ts'
import { createReader, type Reader } from './reader.ts'
import { parseRules, type RuleSet } from './rule.ts'
import { createWebhookChannel, type WebhookKind, webhookKinds } from './webhook.ts'

export interface ChannelSettings {
  /** `email_alerts`: the channel named email. */
  email:
    | (Omit<EmailOptions, 'useSsl' | 'tlsCaFile'> & Partial<Pick<EmailOptions, 'useSsl' | 'tlsCaFile'>>)
    | undefined
  /** `alert_channels`: by name. */
  channels: unknown
  privateHosts: readonly string[]
  /** Where `…_env` of a secret looks. */
  environment: { readonly [name: string]: string | undefined }
}

export interface AlertSettings {
  alertLevel: number
  emailAlerts: ChannelSettings['email']
  alertChannels: { [name: string]: unknown }
  alertRules: unknown
  alertQuietHours: unknown
  alertMaintenance: unknown
  alertPrivateHosts: readonly string[]
  /** Somebody set `alert_rules`. */
  isGiven: boolean
  environment: ChannelSettings['environment']
}

export interface AlertSetup {
  ruleSet: RuleSet
  channels: Map<string, Channel>
  /** Somebody is to be told, or set rules to look at. */
  isWanted: boolean
}

/** Throws EVT_CONFIG with every problem of channels and rules. */
export function readAlertSettings(settings: AlertSettings): AlertSetup {
  const { emailAlerts, alertChannels, isGiven } = settings
  const problems: string[] = []
  const collect = <T>(read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof EventError) || error.code !== 'EVT_CONFIG') throw error
      problems.push(error.message)
      return undefined
    }
  }
  const channels = collect(() =>
    createChannels({
      email: emailAlerts,
      channels: alertChannels,
      privateHosts: settings.alertPrivateHosts,
      environment: settings.environment,
    }),
  )
  const ruleSet = collect(() =>
    parseRules({
      alertLevel: settings.alertLevel,
      rules: settings.alertRules,
      quiet: settings.alertQuietHours,
      maintenance: settings.alertMaintenance,
      channels: [...(emailAlerts ? ['email'] : []), ...Object.keys(alertChannels)],
    }),
  )
  if (!channels || !ruleSet) throw new EventError('EVT_CONFIG', problems.join('\n'), { detail: problems })
  return { ruleSet, channels, isWanted: channels.size > 0 || isGiven }
}

/** Throws EVT_CONFIG with every problem. Secrets are never part of a text. */
export function createChannels(settings: ChannelSettings): Map<string, Channel> {
  const problems: string[] = []
  const made: (() => Channel)[] = []
  const { email, environment, privateHosts } = settings
  if (email) made.push(() => createEmailChannel('email', { useSsl: false, tlsCaFile: undefined, ...email }))
  const given = settings.channels ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) problems.push('alert_channels must be an object')
  for (const [name, one] of Object.entries(given)) {
    const reader = createReader(one, `alert_channels.${name}`, problems)
    if (!/^[\w-]{1,64}$/.test(name)) reader.fail('name', 'must be letters, digits, _ and -, at most 64')
    if (name === 'email' && email) reader.fail('name', 'is taken by email_alerts')
    const kind = reader.text('kind')
    if (kind === 'email') made.push(readEmail(name, reader, environment))
    else if (webhookKinds.some((one) => one === kind))
      made.push(readWebhook(name, kind as WebhookKind, reader, { environment, privateHosts }))
    else reader.fail('kind', `must be one of email, ${webhookKinds.join(', ')}`)
    if (kind !== undefined) reader.end()
  }
  const channels = new Map<string, Channel>()
  for (const make of problems.length > 0 ? [] : made) {
    try {
      const channel = make()
      channels.set(channel.name, channel)
    } catch (error) {
      problems.push(`a channel cannot be made: ${(error as Error).message}`)
    }
  }
  if (problems.length > 0) throw new EventError('EVT_CONFIG', problems.join('\n'), { detail: problems })
  return channels
}

type Environment = ChannelSettings['environment']

/** `name`, or `name_env`: a variable, or `name_file`: a file whose last line break does not count. */
function readSecret(reader: Reader, name: string, environment: Environment): string | undefined {
  const plain = reader.text(name)
  const variable = reader.text(`${name}_env`)
  const file = reader.text(`${name}_file`)
  if (plain !== undefined) return plain
  if (variable !== undefined) {
    const value = environment[variable]
    if (!value) reader.fail(`${name}_env`, `names the variable ${variable}, which is not set`)
    return value
  }
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    reader.fail(`${name}_file`, `cannot be read: ${(error as Error).message}`)
    return undefined
  }
}

function readEmail(name: string, reader: Reader, environment: Environment): () => Channel {
  const smtpServer = reader.text('smtp_server') ?? ''
  if (smtpServer === '') reader.fail('smtp_server', 'is needed')
  const emailAddresses = reader.texts('email_addresses') ?? []
  if (emailAddresses.length === 0) reader.fail('email_addresses', 'is needed')
  const options: EmailOptions = {
    smtpServer,
    smtpPort: reader.number('smtp_port', { least: 1, most: 65_535, fallback: 587 })!,
    smtpUsername: readSecret(reader, 'smtp_username', environment),
    smtpPassword: readSecret(reader, 'smtp_password', environment),
    useTls: reader.flag('use_tls', true),
    useSsl: reader.flag('use_ssl', false),
    tlsCaFile: reader.text('tls_ca_file'),
    sender: reader.text('sender', 'no-reply@example.com')!,
    defaultImportance: reader.text('default_importance'),
    emailAddresses,
  }
  return () => createEmailChannel(name, options)
}

function readWebhook(
  name: string,
  kind: WebhookKind,
  reader: Reader,
  { environment, privateHosts }: { environment: Environment; privateHosts: readonly string[] },
): () => Channel {
  const url = readSecret(reader, 'url', environment)
  // The URL of a chat room is a secret: it is not repeated.
  if (url === undefined) reader.fail('url', 'is needed')
  else if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    reader.fail('url', 'must be an http or https URL')
  const secret = kind === 'webhook' ? readSecret(reader, 'secret', environment) : undefined
  return () => createWebhookChannel(name, { kind, url: url!, secret, privateHosts })
}
