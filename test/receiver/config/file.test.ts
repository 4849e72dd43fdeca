import { mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import { beforeEach, describe, expect, it } from 'vitest'
import { readConfig } from '../../../receiver/src/config/config.ts'

let root: string
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'madsci-events-')))
  // The search ends here, whatever lies above.
  await mkdir(join(root, '.git'))
})

async function put(files: { [path: string]: string }) {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
}
const read = (below = '', environment: { [name: string]: string } = {}, flags = {}) =>
  readConfig({ environment, flags, workingDirectory: join(root, below) })

describe('settings files', () => {
  it('are asked after the command line and the environment: .env, JSON, TOML, YAML', async () => {
    const order = ['--database_name', 'EVENT_DATABASE_NAME', '.env', '.json', '.toml', '.yaml']
    await put({
      '.env': 'event_database_name=dotenv',
      'settings.json': '{"database_name": "json"}',
      'settings.toml': 'database_name = "toml"',
      'settings.yaml': 'database_name: yaml',
    })
    const environment = { EVENT_DATABASE_NAME: 'environment' }
    expect(read('', environment, { database_name: 'flag' }).databaseName, order[0]).toBe('flag')
    expect(read('', environment).databaseName, order[1]).toBe('environment')
    expect(read().databaseName).toBe('dotenv')
    expect(read().given.get('database_name')).toBe(`EVENT_DATABASE_NAME in ${join(root, '.env')}`)
    await put({ '.env': '' })
    expect(read().databaseName).toBe('json')
    await put({ 'settings.json': '{}' })
    expect(read().databaseName).toBe('toml')
    await put({ 'settings.toml': '' })
    expect(read().databaseName).toBe('yaml')
    expect(read().given.get('database_name')).toBe(`database_name in ${join(root, 'settings.yaml')}`)
  })

  it('of one kind: events.* over event.* over the shared one', async () => {
    await put({
      'settings.yaml': 'database_name: a\ncollection_name: a\nmanager_name: a',
      'event.settings.yaml': 'database_name: b\ncollection_name: b',
      'events.settings.yaml': 'database_name: c',
      '.env': 'EVENT_BACKUP_MAX_COUNT=1\nEVENT_ARCHIVE_BATCH_SIZE=1',
      'events.env': 'EVENT_BACKUP_MAX_COUNT=3',
    })
    const { databaseName, collectionName, managerName, backupMaxCount, archiveBatchSize } = read()
    expect([databaseName, collectionName, managerName]).toEqual(['c', 'b', 'a'])
    expect([backupMaxCount, archiveBatchSize]).toEqual([3, 1])
  })

  it('are looked for upwards, each on its own, up to a folder with .madsci or .git, then in managers/ and config/', async () => {
    await put({
      'settings.yaml': 'manager_name: top',
      'lab/settings.toml': 'database_name = "lab"',
      'lab/here/managers/events.settings.yaml': 'collection_name: below',
      'lab/here/config/events.settings.yaml': 'collection_name: never',
      'lab/here/config/event.env': 'EVENT_BACKUP_MAX_COUNT=4',
    })
    const config = read('lab/here')
    expect(config.managerName).toBe('top')
    expect(config.databaseName).toBe('lab')
    expect(config.collectionName).toBe('below')
    expect(config.backupMaxCount).toBe(4)
    await put({ 'lab/.madsci/registry.json': '{}' })
    expect(read('lab/here').managerName).toBeUndefined()
    expect(read('lab/here').databaseName).toBe('lab')
    expect(read('', { MADSCI_SETTINGS_DIR: 'lab/here' }).collectionName).toBe('below')
    expect(read('', { MADSCI_SETTINGS_DIR: join(root, 'lab/here') }).collectionName).toBe('below')
  })

  it('take names with and without event_, and aliases of the database URL; the bare one wins', async () => {
    await put({
      'settings.yaml': 'event_database_name: prefixed\nevent_mongo_db_url: mongodb://db\nnonsense: 1',
    })
    expect(read().databaseName).toBe('prefixed')
    expect(read().documentDbUrl).toBe('mongodb://db')
    await put({
      'settings.yaml':
        'event_database_name: prefixed\ndatabase_name: bare\nevent_document_db_url: mongodb://other',
    })
    expect(read().databaseName).toBe('bare')
    expect(read().documentDbUrl).toBe('mongodb://other')
  })

  it('of the whole laboratory need event_ for a log_level, which others read too', async () => {
    await put({ 'settings.yaml': 'log_level: 20\notlp_port: 1' })
    expect(read().otlpPort).toBe(1)
    await put({ 'settings.yaml': 'event_log_level: WARNING' })
    expect(read().logLevel).toBe('warn')
    await put({ 'events.settings.yaml': 'log_level: error' })
    expect(read().logLevel).toBe('error')
  })

  it('hold lists and objects as they are, null, numbers and booleans; an object is put together from all sources', async () => {
    await put({
      'settings.yaml': `
retention_enabled: yes
rate_limit_short_requests: null
rate_limit_exempt_ips: [10.0.0.1]
email_alerts:
  smtp_server: mail.lab
  smtp_username: null
  use_tls: false
  email_addresses: [a@lab]
`,
      'settings.toml': 'retention_rules = [{ max_level = 10, soft_delete_after_days = 7 }]',
      '.env': 'EVENT_EMAIL_ALERTS__SMTP_PASSWORD="hunter 2"',
    })
    const config = read('', { EVENT_EMAIL_ALERTS__SMTP_PORT: '25' })
    expect(config.retentionEnabled).toBe(true)
    expect(config.rateLimitShortRequests).toBeUndefined()
    expect(config.rateLimitExemptIps).toEqual(['10.0.0.1'])
    expect(config.retentionRules).toEqual([{ maxLevel: 10, softDeleteAfterDays: 7 }])
    expect(config.emailAlerts).toMatchObject({
      smtpServer: 'mail.lab',
      smtpPort: 25,
      smtpUsername: undefined,
      smtpPassword: 'hunter 2',
      useTls: false,
      sender: 'no-reply@example.com',
      defaultImportance: '',
      emailAddresses: ['a@lab'],
    })
  })

  it('that are wrong are all named, with every other problem, and without a line of their text', async () => {
    await put({
      'settings.yaml': 'a: [hunter2',
      'settings.json': '{"document_db_url": hunter2}',
      'events.settings.toml': 'a = = hunter2',
      '.env': 'EVENT_BACKUP_MAX_COUNT=many',
      'event.settings.json': '{"alert_level": "loud"}',
    })
    let problems: string[] = []
    try {
      read('', { EVENT_OTLP_PORT: '-1' })
    } catch (error) {
      expect(error).toBeInstanceOf(EventError)
      problems = (error as EventError).detail as string[]
    }
    const named = [
      join(root, 'settings.json'),
      join(root, 'events.settings.toml'),
      join(root, 'settings.yaml'),
      'EVENT_OTLP_PORT must',
      `alert_level in ${join(root, 'event.settings.json')} must`,
      `EVENT_BACKUP_MAX_COUNT in ${join(root, '.env')} must`,
    ]
    expect(problems).toHaveLength(named.length)
    for (const [index, text] of named.entries()) expect(problems[index]).toContain(text)
    expect(problems.join()).not.toContain('hunter2')
  })
})
