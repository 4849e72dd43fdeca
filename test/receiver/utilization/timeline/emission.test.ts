import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEventType } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { emissions, sayings } from '../../../../receiver/src/utilization/timeline/emission.ts'
import { kindOf } from '../../../../receiver/src/utilization/timeline/reader.ts'
import { parseRecording } from '../../../support/lab-event.ts'

describe('the table of what MADSci says', () => {
  it('stands in the documents', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../../../receiver/docs/reports.md'), 'utf8')
    const [, printed] = /<!-- emissions -->\n([\s\S]*?)<!-- \/emissions -->/.exec(readme) ?? []
    const rows = emissions.map(
      ({ message, type, package: program, releases, carries, says }) =>
        `| ${message ?? '(the event itself)'} | \`${type}\` | ${program} | ${releases.join(' ')} | ${carries} | ${sayings[says]} |`,
    )
    const table = [
      '| message | type | madsci. | releases | carries | read as |',
      '| --- | --- | --- | --- | --- | --- |',
      ...rows,
    ]
    expect(printed?.trim().split('\n')).toEqual(table)
  })

  it('names each message of a type once for each package', () => {
    const keys = emissions.map(({ message, type, package: program }) => `${program} ${type} ${message}`)
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('has every event of a recorded laboratory that speaks of one of its things', () => {
    const events = parseRecording(
      readFileSync(join(import.meta.dirname, 'lab/real-lab-0.8.1.ndjson'), 'utf8'),
    )
    const spoken = new Set<string>()
    for (const { type, data } of events) {
      const { event_type, message } = (data ?? {}) as { event_type?: string; message?: string }
      const isLog = type.startsWith('log_')
      const inner = parseEventType(isLog ? (event_type ?? '') : type)
      if (inner && kindOf(inner)) spoken.add(`${inner} ${isLog ? message : null}`)
    }
    const known = new Set(
      emissions
        .filter(({ releases }) => releases.includes('0.8'))
        .map(({ type, message }) => `${type} ${message}`),
    )
    expect(spoken.size).toBeGreaterThanOrEqual(25)
    expect([...spoken].filter((one) => !known.has(one))).toEqual([])
  })
})
