import { describe, expect, it } from 'vitest'
import { createReader } from '../../../receiver/src/alert/reader.ts'
import { afterWindows, nextTimeOfDay, readWindow } from '../../../receiver/src/alert/window.ts'

const at = (text: string) => Date.parse(text)
const subject = (labels: { [name: string]: string } = {}, level = 40) => ({ labels, level })
function windowOf(input: object) {
  const problems: string[] = []
  const window = readWindow(createReader(input, 'w', problems))
  expect(problems).toEqual([])
  return window
}
const endAfter = (window: object, time: string, who = subject()) =>
  new Date(afterWindows([windowOf(window)], who, at(time))).toISOString()

describe('quiet hours and maintenance windows', () => {
  it('cross midnight in their zone, on the day of their beginning', () => {
    const night = { from: '22:00', to: '06:00', zone: 'Europe/Berlin', days: ['fri'] }
    // Friday 2026-11-27; Berlin is UTC+1.
    expect(endAfter(night, '2026-11-27T20:59:59Z')).toBe('2026-11-27T20:59:59.000Z')
    expect(endAfter(night, '2026-11-27T21:00:00Z')).toBe('2026-11-28T05:00:00.000Z')
    expect(endAfter(night, '2026-11-28T04:59:59Z')).toBe('2026-11-28T05:00:00.000Z')
    expect(endAfter(night, '2026-11-28T21:00:00Z')).toBe('2026-11-28T21:00:00.000Z')
  })

  it('end at the right instant when clocks change', () => {
    const night = { from: '22:00', to: '06:00', zone: 'Europe/Berlin' }
    // Clocks go back on 2026-10-25 at 03:00, forward on 2026-03-29 at 02:00.
    expect(endAfter(night, '2026-10-24T21:00:00Z')).toBe('2026-10-25T05:00:00.000Z')
    expect(endAfter(night, '2026-03-28T22:00:00Z')).toBe('2026-03-29T04:00:00.000Z')
    expect(new Date(nextTimeOfDay('Europe/Berlin', 360, at('2026-10-24T22:30:00Z'))).toISOString()).toBe(
      '2026-10-25T05:00:00.000Z',
    )
    expect(new Date(nextTimeOfDay('Europe/Berlin', 360, at('2026-10-25T05:00:00Z'))).toISOString()).toBe(
      '2026-10-26T05:00:00.000Z',
    )
  })

  it('hold for their nodes and workcells, and let high levels through', () => {
    const once = {
      from: '2026-12-01T08:00:00Z',
      to: '2026-12-01T12:00:00Z',
      node_ids: ['N'],
      workcell_ids: ['C'],
      except_level: 'critical',
    }
    const end = '2026-12-01T12:00:00.000Z'
    expect(endAfter(once, '2026-12-01T09:00:00Z', subject({ node_id: 'N' }))).toBe(end)
    expect(endAfter(once, '2026-12-01T09:00:00Z', subject({ workcell_id: 'C' }))).toBe(end)
    expect(endAfter(once, '2026-12-01T09:00:00Z', subject({ node_id: 'M' }))).toBe('2026-12-01T09:00:00.000Z')
    expect(endAfter(once, '2026-12-01T09:00:00Z', subject({ node_id: 'N' }, 50))).toBe(
      '2026-12-01T09:00:00.000Z',
    )
  })

  it('follow one another', () => {
    const windows = [windowOf({ from: '22:00', to: '02:00' }), windowOf({ from: '01:00', to: '06:00' })]
    expect(new Date(afterWindows(windows, subject(), at('2026-11-27T23:00:00Z'))).toISOString()).toBe(
      '2026-11-28T06:00:00.000Z',
    )
    const always = [windowOf({ from: '00:00', to: '12:00' }), windowOf({ from: '12:00', to: '00:00' })]
    expect(Number.isFinite(afterWindows(always, subject(), at('2026-11-27T23:00:00Z')))).toBe(true)
  })
})
