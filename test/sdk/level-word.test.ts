import { describe, expect, it } from 'vitest'
import { severityOfWord } from '../../sdk/src/event/severity-word.ts'
import { severityByOrder } from '../../sdk/src/level-word.ts'
import { toLineEvent } from '../../sdk/src/line.ts'
import { type PinoConfig, readPinoLine } from '../../sdk/src/pino/line.ts'

const levelsOf = (values: { [label: string]: number }): PinoConfig => ({
  levels: {
    values,
    labels: Object.fromEntries(Object.entries(values).map(([label, number]) => [number, label])),
  },
})
const pino = levelsOf({ trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 })
const syslog = levelsOf({ emerg: 0, alert: 1, crit: 2, error: 3, warning: 4, notice: 5, info: 6, debug: 7 })
const read = (line: object | string, config: PinoConfig = pino) => {
  const { event, severity } = readPinoLine(typeof line === 'string' ? line : JSON.stringify(line), config)
  return [event.log_level, severity.number]
}

describe('levels of a line of pino', () => {
  it.each<[what: string, line: object | string, config: PinoConfig, level: number, severity: number]>([
    ['the numbers of pino', { level: 50, time: 1 }, pino, 40, 17],
    ['a number between two', { level: 35, time: 1 }, pino, 20, 11],
    ['syslog numbers, in the other order', { level: 0, time: 1 }, syslog, 50, 24],
    ['syslog numbers: crit', { level: 2, time: 1 }, syslog, 50, 21],
    ['syslog numbers: error', { level: 3, time: 1 }, syslog, 40, 17],
    ['syslog numbers: debug', { level: 7, time: 1 }, syslog, 10, 5],
    ['a word', { level: 'FATAL', time: 1 }, pino, 50, 21],
    ['severity', { severity: 'fatal', time: 1 }, pino, 50, 21],
    ['ECS', { 'log.level': 'error', time: 1 }, pino, 40, 17],
    ['ECS, nested', { log: { level: 'error', logger: 'x' }, time: 1 }, pino, 40, 17],
    ['a number as text', { level: '50', time: 1 }, pino, 40, 17],
    [
      'a word of its own above error',
      { level: 55, time: 1 },
      levelsOf({ info: 30, error: 50, doom: 55 }),
      40,
      18,
    ],
    [
      'a word of its own below info',
      { level: 25, time: 1 },
      levelsOf({ chat: 25, info: 30, error: 50 }),
      10,
      8,
    ],
    [
      'a word of its own, in the other order',
      { level: 1, time: 1 },
      levelsOf({ doom: 1, error: 3, info: 6 }),
      40,
      18,
    ],
    ['data of the same name', '{"level":50,"time":1,"level":20,"tank":1,"msg":"x"}', pino, 40, 17],
  ])('%s', (_what, line, config, level, severity) => {
    expect(read(line, config)).toEqual([level, severity])
  })

  it('data named like the level and the time of the line is data', () => {
    const line = '{"level":50,"time":1700000000000,"level":20,"time":3.5,"msg":"Tank overflow"}'
    const { event } = readPinoLine(line, pino)
    expect(event).toMatchObject({
      log_level: 40,
      event_timestamp: '2023-11-14T22:13:20.000000Z',
      event_data: { message: 'Tank overflow', level: 20, time: 3.5 },
    })
  })
})

it('words mean levels, in any case; others are placed by their neighbours', () => {
  for (const [word, severity] of [
    ['Critical', 21],
    ['EMERG', 24],
    ['warning', 13],
    ['espresso', undefined],
    ['constructor', undefined],
    [50, undefined],
  ] as const)
    expect(severityOfWord(word)).toBe(severity)
  const order = ['whisper', 'info', 'shout', 'error', 'doom']
  const own = ['whisper', 'shout', 'doom'].map((name) => severityByOrder(name, order))
  expect(own).toEqual([8, 10, 18])
  expect(severityByOrder('a', ['a', 'b'])).toBeUndefined()
})

it('a time without a zone is the local time of the process', () => {
  const zone = process.env.TZ
  try {
    process.env.TZ = 'America/New_York'
    const timeOf = (time: unknown) =>
      toLineEvent({ message: 'x', level: 20, time, exception: undefined, members: {} }).event_timestamp
    expect(timeOf('2026-07-01 12:00:00')).toBe('2026-07-01T16:00:00.000000Z')
    expect(timeOf('2026-07-01T12:00:00.5+02:00')).toBe('2026-07-01T10:00:00.500000Z')
    expect(timeOf('2026-07-01T12:00:00Z')).toBe('2026-07-01T12:00:00.000000Z')
  } finally {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
  }
})
