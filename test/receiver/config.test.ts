import { EventError } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { readConfig, settings } from '../../receiver/src/config.ts'

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
    expect([...config.given].sort()).toEqual(['log_level', 'max_batch_events'])
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
      expect(problems[0]).toContain('EVENT_RETENTION_RULES must be a list like')
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

  it('never repeats what may be a password', () => {
    const problems = problemsOf({ environment: { EVENT_DB_URL: 'postgres://me:hunter2@db' } })
    expect(problems).toHaveLength(1)
    expect(problems[0]).not.toContain('hunter2')
  })

  it('parses every default that it shows', () => {
    for (const [name, { fallback, parse }] of Object.entries(settings)) {
      expect(() => parse(fallback), name).not.toThrow()
    }
  })
})
