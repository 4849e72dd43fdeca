import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromTimestamp, parseEvent, parseTimestamp, ulidFrom } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventScan, ScannedEvent } from '../../../../receiver/src/store/event-scan.ts'
import type { Engine } from '../../../../receiver/src/utilization/engine.ts'
import { createReportEngine } from '../../../../receiver/src/utilization/report-engine.ts'
import { reasons } from '../../../../receiver/src/utilization/timeline/compare.ts'
import { createTimelineEngine } from '../../../../receiver/src/utilization/timeline/timeline-engine.ts'
import { labDays } from '../../../support/lab-day.ts'
import { historyArbitrary, historyStart, toTimelineEvent } from '../../../support/timeline-history.ts'
import type { PlainEvent } from '../../../support/timeline-reference.ts'

const toScannedEvent = (event: PlainEvent): ScannedEvent => toTimelineEvent(event)

/** A scan of a list that may grow. */
function scanOf(events: readonly PlainEvent[]): EventScan {
  return {
    async read(from, _types, take) {
      const begin = (from as { index: number } | undefined)?.index ?? 0
      for (const event of events.slice(begin)) take(toScannedEvent(event))
      return { atMs: 0, index: events.length } as { atMs: number }
    },
    close: async () => {},
  }
}

function enginesOf(events: readonly PlainEvent[]): { timeline: Engine; original: Engine } {
  const original = createReportEngine(scanOf(events), { timeoutMs: 0 })
  return { original, timeline: createTimelineEngine(scanOf(events), original) }
}

// biome-ignore lint/suspicious/noExplicitAny: an answer is looked into as it is
async function ask(engine: Engine, report: string, parameters: { [name: string]: string }): Promise<any> {
  const { pieces } = await engine.answer({ report, parameters })
  let text = ''
  for await (const piece of pieces) text += piece
  return JSON.parse(text)
}

interface Subject {
  kind: string
  id: string
  original_us: { busy: number; idle: number }
  exact_us: { [state: string]: number }
  busy_difference_us: number
  unexplained_us: number
  matrix_us: { [pair: string]: number }
  differences: {
    reason: string
    because: string
    original: string
    exact: string
    duration_us: number
    event_ids: string[]
  }[]
}

/** That the comparison says the whole truth: the matrix is the window, its margins are both reports, and each difference has a reason. */
function checkSubject(subject: Subject, wall: number): void {
  const { matrix_us, differences, exact_us, original_us, unexplained_us } = subject
  const sum = (test: (pair: string) => boolean) =>
    Object.entries(matrix_us).reduce((total, [pair, micros]) => total + (test(pair) ? micros : 0), 0)
  expect(sum(() => true)).toBe(wall)
  expect(sum((pair) => pair.endsWith('/busy'))).toBe(exact_us.busy)
  const twice = differences
    .filter(({ reason, original }) => reason === 'overlapping_sessions' && original === 'busy')
    .reduce((total, { duration_us }) => total + duration_us, 0)
  // The original's floating point seconds.
  expect(Math.abs(unexplained_us)).toBeLessThan(100)
  expect(Math.abs(sum((pair) => pair.startsWith('busy/')) + twice - original_us.busy)).toBeLessThan(100)
  const explained = differences
    .filter(({ reason }) => reason !== 'overlapping_sessions')
    .reduce(
      (total, { original, exact, duration_us }) =>
        total + (original === 'busy' ? duration_us : 0) - (exact === 'busy' ? duration_us : 0),
      0,
    )
  expect(Math.abs(explained + twice - subject.busy_difference_us)).toBeLessThan(100)
}

function toPlain(posted: (typeof labDays)[number]['events'][number]): PlainEvent {
  const { event_id, event_type, event_timestamp, source, event_data } = parseEvent(posted as never, {
    managerId: '01MANAGER0000000000000000X',
  })
  return {
    id: event_id,
    type: event_type,
    at: Number(fromTimestamp(event_timestamp)! / 1000n),
    source: source as PlainEvent['source'],
    data: event_data as PlainEvent['data'],
  }
}

const minute = 60e6
const at = (minutes: number) => Date.UTC(2026, 5, 1, 8) * 1000 + minutes * minute
const makeId = (number: number) => ulidFrom(1_750_000_000_000 + number, new Uint8Array(10).fill(7))

describe('the comparison with the original', () => {
  for (const day of labDays) {
    it(`explains every difference of the day '${day.name}'`, async () => {
      const { timeline } = enginesOf(day.events.map(toPlain))
      for (const request of day.requests) {
        const [report, query = ''] = request.split('?')
        const { start_time = '', end_time = '' } = Object.fromEntries(new URLSearchParams(query))
        if (report !== 'sessions' || (start_time !== '' && end_time !== '' && start_time >= end_time))
          continue
        if ([start_time, end_time].some((text) => text !== '' && 'reason' in parseTimestamp(text))) continue
        const answer = await ask(timeline, 'compare', { start_time, end_time })
        for (const subject of answer.subjects) checkSubject(subject, answer.report_metadata.wall_us)
      }
    })
  }

  it('explains every difference of whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(historyArbitrary, async (history) => {
        // Among events of one instant the original knows no order.
        const events = history.map((event, index) => ({ ...event, at: event.at + index }))
        const { timeline } = enginesOf(events)
        const bounds = { start: historyStart + 5 * minute, end: historyStart + 35 * minute }
        const answer = await ask(timeline, 'compare', {
          start_time: String(bounds.start / 1e6),
          end_time: String(bounds.end / 1e6),
        })
        for (const subject of answer.subjects) checkSubject(subject, answer.report_metadata.wall_us)
      }),
      { numRuns: 300 },
    )
  })

  it('has every reason in the documents, in the same words', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../../../receiver/docs/reports.md'), 'utf8')
    for (const [reason, meaning] of Object.entries(reasons))
      expect(readme).toContain(`| \`${reason}\` | ${meaning} |`)
  })

  it('names the reason and the events', async () => {
    const [node_id, workcell_id] = [makeId(1), makeId(2)]
    let number = 100
    const events: PlainEvent[] = []
    const say = (minutes: number, type: string, data: { [key: string]: unknown } = {}, isLog = false) => {
      const event: PlainEvent = {
        id: makeId(number++),
        type: isLog ? 'log_info' : type,
        at: at(minutes),
        source: isLog ? {} : type.startsWith('workcell') ? { workcell_id } : { node_id },
        data: isLog ? { message: 'said', event_type: type, node_id, ...data } : data,
      }
      events.push(event)
      return event.id
    }
    say(0, 'workcell_start')
    say(0, 'action_status_change', { action_id: 'both', status: 'running' })
    say(10, 'action_status_change', { action_id: 'both', status: 'succeeded' })
    const started = say(20, 'action_start', { action_id: 'unread' })
    const ended = say(30, 'action_complete', { action_id: 'unread' })
    const logged = say(40, 'action_status_change', { action_id: 'logged', status: 'running' }, true)
    say(55, 'action_status_change', { action_id: 'logged', status: 'succeeded' }, true)
    const broken = say(60, 'node_error', { message: 'jammed' })
    say(80, 'node_status_update', { busy: false, errored: false })
    say(90, 'action_status_change', { action_id: 'open', status: 'running' })
    const restart = say(100, 'node_start', { node_name: 'arm' })
    say(120, 'workcell_stop')
    const outside = say(130, 'action_start', { action_id: 'late' })
    say(135, 'action_complete', { action_id: 'late' })
    const { timeline } = enginesOf(events)
    const answer = await ask(timeline, 'compare', {
      start_time: String(at(0) / 1e6),
      end_time: String(at(140) / 1e6),
    })
    const arm = (answer.subjects as Subject[]).find(({ id }) => id === node_id)!
    checkSubject(arm, 140 * minute)
    const found = arm.differences.map(({ reason, original, exact, duration_us, event_ids }) => ({
      reason,
      is: `${original}/${exact}`,
      minutes: duration_us / minute,
      event_ids,
    }))
    expect(found).toContainEqual({ reason: 'run_lost', is: 'busy/idle', minutes: 20, event_ids: [restart] })
    expect(found).toContainEqual({
      reason: 'outside_sessions',
      is: 'none/busy',
      minutes: 5,
      event_ids: [outside],
    })
    const minutesOf = (reason: string) =>
      found.filter((one) => one.reason === reason).reduce((sum, one) => sum + one.minutes, 0)
    expect(minutesOf('stored_as_log')).toBeGreaterThanOrEqual(15)
    expect(
      found.find(({ reason, is }) => reason === 'stored_as_log' && is.endsWith('/busy'))!.event_ids,
    ).toEqual([logged])
    expect(
      found.find(({ reason, is }) => reason === 'action_events_not_read' && is.endsWith('/busy'))!.event_ids,
    ).toEqual([started])
    expect(found.find(({ reason }) => reason === 'error_not_read')!).toMatchObject({
      minutes: 20,
      event_ids: [broken],
    })
    expect(JSON.stringify(arm.differences)).toContain(ended)
  })
})
