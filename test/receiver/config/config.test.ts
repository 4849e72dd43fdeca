import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { readConfig, settings } from '../../../receiver/src/config/config.ts'
import { redacted, type Setting, showAll } from '../../../receiver/src/config/setting.ts'

const problemsOf = (options: Parameters<typeof readConfig>[0]): string[] => {
  try {
    readConfig(options)
  } catch (error) {
    expect(error).toBeInstanceOf(EventError)
    return (error as EventError).detail as string[]
  }
  return []
}

describe('config', () => {
  it('has a default for every setting', () => {
    const config = readConfig({ environment: {} })
    expect(config.serverUrl.href).toBe('http://localhost:8001/')
    expect(config.otlpPort).toBe(4318)
    expect(config.documentDbUrl).toBe('sqlite:.madsci/events.db')
    expect(config.given.size).toBe(0)
  })

  it('takes flags over the environment over defaults, and names of variables in any case', () => {
    const environment = { event_log_level: 'debug', EVENT_MAX_BATCH_EVENTS: '7' }
    const config = readConfig({ environment, flags: { max_batch_events: '9' } })
    expect(config.logLevel).toBe('debug')
    expect(config.maxBatchEvents).toBe(9)
    expect([...config.given].sort()).toEqual([
      ['log_level', 'EVENT_LOG_LEVEL'],
      ['max_batch_events', '--max_batch_events'],
    ])
  })

  it('knows the aliases of the database URL in the order of the original', () => {
    const environment: { [name: string]: string } = {}
    for (const name of [
      'EVENT_DOCUMENT_DB_URL',
      'DB_URL',
      'EVENT_DB_URL',
      'MONGO_DB_URL',
      'DOCUMENT_DB_URL',
    ]) {
      environment[name] = `mongodb://${name.toLowerCase().replaceAll('_', '-')}`
      expect(readConfig({ environment }).documentDbUrl).toBe(environment[name])
    }
  })

  it('counts a standard port that was asked for by name as asked for', () => {
    expect(readConfig({ environment: { EVENT_OTLP_PORT: '4318' } }).given.has('otlp_port')).toBe(true)
    expect(readConfig({ environment: { EVENT_OTLP_PORT: 'none' } }).otlpPort).toBeUndefined()
  })

  it('lists all problems at once', () => {
    const environment = {
      EVENT_SERVER_URL: 'nonsense',
      EVENT_OTLP_PORT: '99999',
      EVENT_MANAGER_ID: 'x',
      EVENT_NAIVE_TIMEZONE: 'Mars/Olympus',
    }
    const problems = problemsOf({ environment, flags: { log_level: 'loud', nonsense: '1' } })
    expect(problems.map((line) => line.split(' ')[0])).toEqual([
      '--nonsense',
      'EVENT_SERVER_URL',
      'EVENT_OTLP_PORT',
      'EVENT_MANAGER_ID',
      'EVENT_NAIVE_TIMEZONE',
      '--log_level',
    ])
  })

  it('reads retention rules, and says what one looks like', () => {
    const rules = (text: string) => ({ environment: { EVENT_RETENTION_RULES: text } })
    const given =
      '[{"event_type": "LOG_DEBUG", "soft_delete_after_days": 7}, {"max_level": "info", "soft_delete_after_days": 30}]'
    expect(readConfig(rules(given)).retentionRules).toEqual([
      { types: ['log_debug'], softDeleteAfterDays: 7 },
      { maxLevel: 20, softDeleteAfterDays: 30 },
    ])
    for (const wrong of [
      'nonsense',
      '{}',
      '[null]',
      '[{"event_type": "nonsense", "soft_delete_after_days": 7}]',
      '[{"max_level": 15, "soft_delete_after_days": 7}]',
      '[{"soft_delete_after_days": 0}]',
      '[{"soft_delete_after_days": 7, "nonsense": 1}]',
    ]) {
      const problems = problemsOf(rules(wrong))
      expect(problems, wrong).toHaveLength(1)
      expect(problems[0]).toMatch(
        /^EVENT_RETENTION_RULES (must be (a list like|JSON)|is not right: rule 1 .*; one looks like \[\{)/,
      )
    }
  })

  it('reads yes and no as MADSci does, and refuses a schedule that is none', () => {
    expect(readConfig({ environment: { EVENT_RETENTION_ENABLED: 'Yes' } }).retentionEnabled).toBe(true)
    expect(readConfig({ environment: { EVENT_BACKUP_SCHEDULE: '30 2 * * 1' } }).backupSchedule).toBe(
      '30 2 * * 1',
    )
    const problems = problemsOf({
      environment: { EVENT_BACKUP_ENABLED: 'maybe', EVENT_BACKUP_SCHEDULE: 'nightly' },
    })
    expect(problems.map((line) => line.split(' ')[0])).toEqual([
      'EVENT_BACKUP_ENABLED',
      'EVENT_BACKUP_SCHEDULE',
    ])
  })

  it('names of earlier releases that name a database or a manager count, or stop the start', async () => {
    const url = 'mongodb://lab:27017'
    expect(readConfig({ environment: { EVENT_MONGO_DB_URL: url } }).documentDbUrl).toBe(url)
    expect(() => readConfig({ environment: { EVENT_MANAGER_DEFINITION: 'event.manager.yaml' } })).toThrow(
      /EVENT_MANAGER_DEFINITION .*EVENT_MANAGER_NAME/,
    )
  })

  it('reads an object as JSON, by its parts, and from both together', () => {
    expect(readConfig({ environment: {} }).emailAlerts).toBeUndefined()
    const environment = {
      EVENT_EMAIL_ALERTS: '{"smtp_server": "mail.lab", "email_addresses": ["a@lab"], "smtp_port": 25}',
      EVENT_EMAIL_ALERTS__SMTP_PORT: '465',
      event_email_alerts__use_tls: 'false',
    }
    const config = readConfig({ environment })
    expect(config.emailAlerts).toMatchObject({
      smtpServer: 'mail.lab',
      smtpPort: 465,
      smtpUsername: undefined,
      smtpPassword: undefined,
      useTls: false,
      sender: 'no-reply@example.com',
      defaultImportance: '',
      emailAddresses: ['a@lab'],
    })
    expect(config.given.get('email_alerts')).toBe(
      'EVENT_EMAIL_ALERTS, EVENT_EMAIL_ALERTS__SMTP_PORT, EVENT_EMAIL_ALERTS__USE_TLS',
    )
    const parts = { EVENT_EMAIL_ALERTS__EMAIL_ADDRESSES: '["b@lab"]' }
    expect(readConfig({ environment: parts }).emailAlerts?.emailAddresses).toEqual(['b@lab'])
    const wrong = { EVENT_EMAIL_ALERTS: '{"smtp_port": 0, "use_tls": "perhaps"}' }
    expect(problemsOf({ environment: wrong })[0]).toMatch(/smtp_port must be .*; use_tls must be/)
    expect(problemsOf({ environment: { EVENT_EMAIL_ALERTS: '[]' } })).toEqual([
      expect.stringContaining('must be an object'),
    ])
  })

  it('reads a secret from a file that a variable names', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'madsci-events-')), 'secret')
    await writeFile(path, 'mongodb://me:hunter2@db\n')
    const environment = { EVENT_DB_URL_FILE: path, EVENT_EMAIL_ALERTS__SMTP_PASSWORD_FILE: path }
    const config = readConfig({ environment })
    expect(config.documentDbUrl).toBe('mongodb://me:hunter2@db')
    expect(config.emailAlerts?.smtpPassword).toBe('mongodb://me:hunter2@db')
    expect(problemsOf({ environment: { EVENT_DB_URL_FILE: `${path}.not` } })[0]).toContain(
      'EVENT_DB_URL_FILE',
    )
    // What is no secret is never read from a file.
    expect(readConfig({ environment: { EVENT_MANAGER_NAME_FILE: path } }).managerName).toBeUndefined()
  })

  it('shows every setting as JSON, secrets hidden also when they are not set', () => {
    const environment = { DB_URL: 'mongodb://me:hunter2@db', EVENT_EMAIL_ALERTS__SMTP_PASSWORD: 'hunter2' }
    const shown = showAll(settings, { ...readConfig({ environment }) })
    expect(Object.keys(shown)).toEqual(Object.keys(settings))
    expect(JSON.stringify(shown)).not.toContain('hunter2')
    expect(shown).toMatchObject({
      server_url: 'http://localhost:8001/',
      manager_name: null,
      document_db_url: redacted,
      email_alerts: { smtp_username: redacted, smtp_password: redacted, smtp_port: 587 },
    })
    expect(showAll(settings, { ...readConfig({ environment: {} }) })).toMatchObject({
      document_db_url: redacted,
      email_alerts: null,
      retention_rules: [],
    })
  })

  it('never repeats what may be a password', () => {
    const problems = problemsOf({ environment: { EVENT_DB_URL: 'postgres://me:hunter2@db' } })
    expect(problems).toHaveLength(1)
    expect(problems[0]).not.toContain('hunter2')
  })

  it('parses every default that it shows', () => {
    for (const [name, { fallback, parse }] of Object.entries<Setting<unknown>>(settings)) {
      expect(() => parse(fallback), name).not.toThrow()
    }
  })
})
