import { expect, it } from 'vitest'
import { toExportName } from '../../../receiver/src/http/export-name.ts'

it.for([
  [{}, 'events_UTC.csv'],
  [
    {
      q: 'node:"robot arm" level>=error',
      start_time: '2026-11-27T13:00:00.000Z',
      number: '9',
      format: 'csv',
    },
    'events_node-robot-arm-level-error_from-2026-11-27T13.00.00.000Z_UTC.csv',
  ],
  [
    { level: 'error', end_time: '2026-11-27T13:00:00+01:00', include_archived: 'true', service: '' },
    'events_level-error_include-archived-true_until-2026-11-27T13.00.00-01.00_UTC.csv',
  ],
  [{ q: '-type:log_info' }, 'events_type-log-info_UTC.csv'],
  [{ q: '../../etc/passwd"\r\n\u202e' }, 'events_etc-passwd_UTC.csv'],
  [{ q: 'Wärme 漢字' }, 'events_W-rme_UTC.csv'],
] as const)('%j is exported as %s', ([asked, name]) => {
  expect(toExportName(Object.entries(asked), 'csv')).toBe(name)
})

it('a file name is short, whatever is asked for, and says its times', () => {
  const asked = { q: 'word '.repeat(10_000), start_time: '2026-11-27T13:00:00Z' }
  const name = toExportName(Object.entries(asked), 'ndjson')
  expect(name.length).toBeLessThan(200)
  expect(name).toMatch(/^events_word-word-.*_from-2026-11-27T13\.00\.00Z_UTC\.ndjson$/)
})
