import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ReadConfigOptions, readConfig } from '../../../receiver/src/config/config.ts'
import { runLine } from '../../support/command-run.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-word-'))
  await mkdir(join(folder, '.git'))
})
afterAll(() => rm(folder, { recursive: true }))

const read = (environment: ReadConfigOptions['environment'], flags = {}) => readConfig({ environment, flags })
const fault = (environment: ReadConfigOptions['environment']) => {
  try {
    read(environment)
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing'
}

describe('what an operator writes', () => {
  it('one address is a list of one, and what is none is told with an example', async () => {
    const file = join(folder, 'event.settings.yaml')
    await writeFile(file, 'email_alerts: {smtp_server: smtp.lab.local, email_addresses: me@lab.local}\n')
    const inFile = readConfig({ environment: {}, workingDirectory: folder })
    await rm(file)
    expect(inFile.emailAlerts?.emailAddresses).toEqual(['me@lab.local'])
    const one = 'EVENT_EMAIL_ALERTS__EMAIL_ADDRESSES'
    expect(read({ [one]: 'lab@example.org' }).emailAlerts?.emailAddresses).toEqual(['lab@example.org'])
    expect(fault({ [one]: 'lab' })).toContain("must hold addresses like lab@example.org: 'lab'")
    expect(fault({ [one]: '["lab", "a@b"]' })).toContain("must hold addresses like lab@example.org: 'lab'")
    for (const text of ['["a@b"', 'a@b, c@d', '{"a": 1}'])
      expect(fault({ [one]: text }), text).toContain('must be a list, like ["lab@example.org"]')
    expect(fault({ EVENT_EMAIL_ALERTS: 'lab@example.org' })).toMatch(
      /must be an object, like \{"smtp_server": .* "email_addresses": \["me@lab\.local"\]\}/,
    )
    expect(fault({ EVENT_ALERT_PRIVATE_HOSTS: 'chat.lab' })).toContain('must be a list of texts, like ["one"')
    expect(fault({ EVENT_ALERT_RULES: 'nonsense' })).toContain('must be JSON')
  })

  it('the recipe for email in the guide is one', async () => {
    const guide = await readFile(join(import.meta.dirname, '../../../receiver/docs/guide-alerts.md'), 'utf8')
    const recipe = /^ +(email_alerts: .*)$/m.exec(guide)![1]!
    const file = join(folder, 'event.settings.yaml')
    await writeFile(file, `${recipe}\n`)
    const { emailAlerts } = readConfig({ environment: {}, workingDirectory: folder })
    await rm(file)
    expect(emailAlerts).toMatchObject({ smtpPort: 25, useTls: false, emailAddresses: ['me@lab.local'] })
  })

  it('every level takes the words of both, and numbers', () => {
    const levels = (text: string) => {
      const { logLevel, alertLevel } = read({ EVENT_LOG_LEVEL: text, EVENT_ALERT_LEVEL: text })
      return [logLevel, alertLevel]
    }
    for (const text of ['warn', 'WARNING', '30']) expect(levels(text), text).toEqual(['warn', 30])
    for (const text of ['critical', 'fatal', '50']) expect(levels(text), text).toEqual(['fatal', 50])
    expect(read({ EVENT_LOG_LEVEL: 'silent' }).logLevel).toBe('silent')
    expect(fault({ EVENT_LOG_LEVEL: '35' })).toContain('must be one of')
  })

  it('is told what it may be', async () => {
    expect(fault({ EVENT_OTLP_PORT: 'off' })).toContain("an integer from 0 to 65535, or none: 'off'")
    expect(fault({ EVENT_BACKUP_SCHEDULE: 'daily' })).toContain('five fields of cron, like "30 2 * * *"')
    const none = await runLine(['config', '--given', '--otlp_port=none'], { workingDirectory: folder })
    expect(none.stdout).toMatch(/^otlp_port +none {4}\(--otlp_port\)\n$/)
  })

  it('what is ignored is told, with the setting that was meant', async () => {
    const environment = { EVENT_BACKUP_ENABELD: 'true', EVENT_XYZZY: '1' }
    const { stdout } = await runLine(['config', '--given'], { workingDirectory: folder, environment })
    expect(stdout).toContain(
      'ignored: EVENT_BACKUP_ENABELD is no setting: did you mean EVENT_BACKUP_ENABLED?; EVENT_XYZZY is no setting\n',
    )
    const json = await runLine(['config', '--json'], { workingDirectory: folder, environment })
    expect(json.stderr).toContain('did you mean EVENT_BACKUP_ENABLED?')
    expect(JSON.parse(json.stdout)).toHaveProperty('backup_enabled')
  })

  it('what is ignored is told beside what is wrong, and within a group', async () => {
    const environment = {
      EVENT_BACKUP_MAX_COUNT: '0',
      EVENT_LOG_LEVL: 'info',
      EVENT_EMAIL_ALERTS__SMTP_SEVER: 'smtp.lab.local',
    }
    const { code, stderr } = await runLine(['config'], { workingDirectory: folder, environment })
    expect(code).toBe(1)
    for (const part of [
      'EVENT_BACKUP_MAX_COUNT',
      'mean EVENT_LOG_LEVEL?',
      'mean EVENT_EMAIL_ALERTS__SMTP_SERVER?',
    ])
      expect(stderr).toContain(part)
  })

  it('a schedule that is none, or whose time never comes, is refused by every command', async () => {
    for (const [schedule, why] of [
      ['61 25 * * *', 'backup_schedule is no schedule'],
      ['0 0 31 2 *', 'backup_schedule names a time that never comes'],
    ]) {
      const flag = `--backup_schedule=${schedule}`
      expect((await runLine(['config', flag], { workingDirectory: folder })).code).toBe(0)
      const environment = { EVENT_BACKUP_ENABLED: 'true' }
      const { code, stderr } = await runLine(['config', flag], { workingDirectory: folder, environment })
      expect([code, stderr]).toEqual([1, expect.stringContaining(`${why}: '${schedule}'`)])
      const doctor = await runLine(['doctor', flag, '--otlp_port=none', '--grpc_port=none'], {
        workingDirectory: folder,
        environment,
      })
      expect(doctor.stdout + doctor.stderr).toContain(why)
    }
  })

  it('lines that say nothing, and files of another ending, are told', async () => {
    const own = await mkdtemp(join(tmpdir(), 'madsci-word-'))
    try {
      await mkdir(join(own, '.git'))
      await writeFile(join(own, '.env'), '# ports\nOTHER thing\nEVENT_GRPC_PORT none\nEVENT_OTLP_PORT=none\n')
      await writeFile(join(own, 'events.settings.yml'), 'log_level: debug\n')
      const { warnings, otlpPort, logLevel } = readConfig({ environment: {}, workingDirectory: own })
      expect(otlpPort).toBeUndefined()
      expect(logLevel).toBe('info')
      expect(warnings).toEqual([
        `${own}/events.settings.yml is not read: the files of settings end in .yaml`,
        `${own}/.env, line 3: EVENT_GRPC_PORT is not read: a line is NAME=value`,
      ])
    } finally {
      await rm(own, { recursive: true })
    }
  })

  it('two doors of one port are refused, with the one to change', () => {
    expect(fault({ EVENT_SERVER_URL: 'http://0.0.0.0:18001/', EVENT_OTLP_PORT: '18001' })).toContain(
      'otlp_port is the port of server_url, 18001: choose another, or none (EVENT_OTLP_PORT)',
    )
    expect(fault({ EVENT_OTLP_PORT: '4317' })).toContain('nothing')
    expect(fault({ EVENT_OTLP_PORT: '0', EVENT_GRPC_PORT: '0', EVENT_SERVER_URL: 'http://x:0' })).toBe(
      'nothing',
    )
  })

  it('what doctor and config say fits a terminal', async () => {
    const flags = ['--otlp_port=none', '--grpc_port=none', '--server_url=http://127.0.0.1:9/']
    for (const command of ['doctor', 'config'])
      for (const columns of [60, 80]) {
        const { stdout } = await runLine([command, ...flags], { workingDirectory: folder, columns })
        const long = stdout.split('\n').filter((line) => line.length > columns && line.trim().includes(' '))
        // A path or an address is one word.
        const broken = long.filter((line) =>
          line
            .trim()
            .split(/ +/)
            .every((word) => word.length < columns / 2),
        )
        expect(broken, command).toEqual([])
      }
  })

  it('what does nothing is told before the start, and where TOML breaks off', async () => {
    const environment = {
      EVENT_EMAIL_ALERTS__EMAIL_ADDRESSES: 'lab@example.org',
      EVENT_OTEL_ENABLED: 'true',
      EVENT_OTEL_EXPORTER: 'otlp',
      EVENT_OTEL_ENDPOINT: 'collector:4317',
    }
    const { stderr } = await runLine(['config', '--given'], { workingDirectory: folder, environment })
    expect(stderr).toContain('mails go to smtp.example.com')
    expect(stderr).toContain('otel_enabled has no effect')
    expect(read({ ...environment, EVENT_EMAIL_ALERTS__SMTP_SERVER: 'smtp.lab.local' }).warnings).toHaveLength(
      1,
    )

    const file = join(folder, 'event.settings.toml')
    await writeFile(file, 'backup_enabled = true\nlog_level = debug\n')
    const broken = await runLine(['config'], { workingDirectory: folder })
    await rm(file)
    expect(broken.stderr).toContain(`${file} cannot be read: it is no TOML (line 2 column`)
  })

  it('what is wrong in a list is named', () => {
    const faultOf = (rule: object) => fault({ EVENT_RETENTION_RULES: JSON.stringify([rule]) })
    expect(faultOf({ event_type: ['node_eror'], soft_delete_after_days: 7 })).toContain(
      "rule 1 names no event type: 'node_eror', did you mean node_error?",
    )
    expect(faultOf({ soft_delete_after_day: 7 })).toContain("rule 1 has a member 'soft_delete_after_day'")
    expect(faultOf({ max_level: 'loud', soft_delete_after_days: 7 })).toContain(
      "no level as max_level: 'loud'",
    )
    expect(faultOf({ soft_delete_after_days: 0.5 })).toContain('needs soft_delete_after_days, a whole number')
  })

  it('a settings folder that is not there is an error', async () => {
    const environment = { MADSCI_SETTINGS_DIR: join(folder, 'nope') }
    const { code, stderr } = await runLine(['config'], { workingDirectory: folder, environment })
    expect(code).toBe(1)
    expect(stderr).toContain(`MADSCI_SETTINGS_DIR must name a folder that exists: '${folder}/nope'`)
  })
})
