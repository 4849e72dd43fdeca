import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { createEventId, microsToTimestamp } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGantt, toBar, toDuration, toStackedBar } from '../../../receiver/src/cli/chart.ts'
import { runLine } from '../../support/command-run.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const [node_id, workcell_id] = [createEventId(), createEventId()]
const [workflow_id, experiment_id, action_id] = [createEventId(), createEventId(), createEventId()]
const query = { start_time: '2026-06-01T08:00:00Z', end_time: '2026-06-01T12:00:00Z' }

describe('reports of utilization by the SDK and the command line', () => {
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  let client: EventClient
  beforeAll(async () => {
    receiver = await startTestReceiver()
    client = new EventClient({ url: receiver.url, name: 'lab', source: { workcell_id } })
    const say = (minutes: number, event_type: string, event_data: object, source: object = {}) =>
      client.log({
        event_type,
        event_timestamp: microsToTimestamp((Date.UTC(2026, 5, 1, 8) / 1000 + minutes * 60) * 1e6),
        event_data: event_data as never,
        source: source as never,
      })
    say(0, 'workcell_start', { name: 'Cell' })
    say(0, 'node_start', { node_name: 'sealer' }, { node_id })
    say(10, 'experiment_start', { experiment_name: 'Alpha' }, { experiment_id })
    say(10, 'workflow_start', { workflow_id, author: 'ada', name: 'assay' }, { workflow_id, experiment_id })
    say(60, 'action_status_change', { action_id, status: 'running' }, { node_id, workflow_id })
    say(120, 'action_status_change', { action_id, status: 'succeeded' }, { node_id, workflow_id })
    say(125, 'workflow_complete', { workflow_id, status: 'completed', author: 'ada' }, { workflow_id })
    say(130, 'experiment_complete', {}, { experiment_id })
    say(180, 'node_error', { message: 'jam' }, { node_id })
    await client.flush()
  })
  afterAll(async () => {
    await client?.close()
    await receiver?.close()
  })

  const run = (...args: string[]) => runAt(undefined, ...args)

  const runAt = (columns: number | undefined, ...args: string[]) =>
    runLine(['utilization', ...args, `--server_url=${receiver.url}`], {
      workingDirectory: receiver.folder,
      columns,
    })
  const window = Object.entries(query).map(([name, value]) => `--${name}=${value}`)

  it('the SDK asks for every report, and gets text for CSV and NDJSON', async () => {
    const options = { startTime: new Date(query.start_time), endTime: query.end_time }
    const timeline = await client.getUtilization('timeline', { ...options, kind: ['node'] })
    expect(timeline.entities[0]).toMatchObject({
      id: node_id,
      name: 'sealer',
      totals_us: { busy: 3600e6, idle: 2 * 3600e6, error: 3600e6, down: 0, unknown: 0, wall: 4 * 3600e6 },
    })
    expect(timeline.entities[0]!.intervals.map(({ state }) => state)).toEqual([
      'idle',
      'busy',
      'idle',
      'error',
    ])
    expect(timeline.next_cursor).toBeNull()
    const { items } = (await client.getUtilization('summary', { ...options, by: 'user' })) as never
    expect(items).toMatchObject([{ id: 'ada', queue: { p50_seconds: 3000 }, node_busy_us: 3600e6 }])
    expect(await client.getUtilization('waits', options)).toMatchObject({ total_waits: 1 })
    expect(await client.getUtilization('compare', options)).toMatchObject({ sessions: 1 })
    const sessions = await client.getUtilization('sessions', options)
    expect(sessions.session_details).toMatchObject([{ total_experiments: 1 }])
    expect(await client.getUtilization('user', options)).toMatchObject({
      system_summary: { total_workflows: 1 },
    })
    const periods = { ...options, analysisType: 'hourly', zone: 'UTC' } as const
    expect(await client.getUtilization('periods', periods)).toMatchObject({
      summary_metadata: { total_periods: 4 },
    })
    const csv = await client.getUtilization('timeline', { ...options, format: 'csv', kind: 'node' })
    expect(csv.split('\r\n').length).toBe(6)
    const ndjson = await client.getUtilization('timeline', { ...options, format: 'ndjson', kind: 'node' })
    expect(
      ndjson
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).state),
    ).toEqual(['idle', 'busy', 'idle', 'error'])
    expect(await client.getUtilization('sessions', { ...options, format: 'csv' })).toContain(
      '=== SESSION DETAILS ===',
    )
    const saved = await client.getUtilization('sessions', { ...options, outputPath: 'nightly' })
    expect(await readFile(String(saved.file_path), 'utf8')).toContain('=== SESSION DETAILS ===')
    const unpeopled = await client.getUtilization('periods', { ...periods, includeUsers: false })
    expect(unpeopled).not.toHaveProperty('user_utilization')
    for (const format of ['json', 'csv'] as const)
      await expect(client.getUtilization('periods', { format })).rejects.toMatchObject({
        code: 'EVT_REFUSED',
      })
    await expect(client.getUtilization('summary', { zone: 'Nowhere' })).rejects.toMatchObject({
      code: 'EVT_INVALID',
    })
  })

  it('of many that come and go, the last are drawn, and the rest is told', async () => {
    const steps = Array.from({ length: 45 }, () => createEventId())
    await Promise.all(
      steps.map((step_id, index) =>
        client.log({
          event_type: 'workflow_step_start',
          event_timestamp: microsToTimestamp(Date.UTC(2026, 4, 1, 8, index) * 1000),
          event_data: { name: `step-${index}` } as never,
          source: { step_id } as never,
        }),
      ),
    )
    await client.flush()
    const drawn = (...more: string[]) =>
      run('timeline', '--kind=step', '--start_time=2026-05-01', '--end_time=2026-05-02', ...more)
    const { stdout, stderr } = await drawn()
    const labels = (text: string) => [...text.matchAll(/step step-(\d+) /g)].map(([, index]) => Number(index))
    expect(labels(stdout)).toEqual(Array.from({ length: 40 }, (_, index) => index + 5))
    expect(stderr).toContain('the last 40 of 45 of kind step: --limit=45 shows all')
    const all = await drawn('--limit=45')
    expect(labels(all.stdout).length).toBe(45)
    expect(all.stderr).toBe('')
  })

  it('where nothing was heard, it says so', async () => {
    const empty = ['--start_time=2020-01-01', '--end_time=2020-01-02']
    for (const report of ['summary --by=experiment', 'timeline --kind=workflow', 'user'])
      expect((await run(...report.split(' '), ...empty)).stdout, report).toMatch(
        /^no event in this time speaks of such a thing\n/,
      )
  })

  it('the command line draws every report, and gives it as it comes', async () => {
    const timeline = await run('timeline', ...window)
    expect(timeline.code).toBe(0)
    const line = timeline.stdout.split('\n').find((one) => one.startsWith('node sealer'))!
    // Four hours on 80 columns: 20 idle, 20 busy, 20 idle, 20 in error.
    expect(line.slice(25)).toBe(`${'─'.repeat(20)}${'█'.repeat(20)}${'─'.repeat(20)}${'✗'.repeat(20)}`)
    // What comes and goes is told with its moment, the last when there are many.
    const passing = await run('timeline', '--kind=workflow,experiment', ...window)
    expect(passing.stdout).toMatch(/\n08:10:00 workflow assay +█{39} +\n/)
    expect(passing.stdout).toMatch(/\n08:10:00 experiment Alpha +█{41} +\n/)
    expect((await run('timeline', '--limit=0', ...window)).code).toBe(2)
    const summary = await run('summary', '--bucket=hour', ...window)
    expect(summary.stdout).toMatch(/sealer +█{10}─{20}✗{10} +25\.0 % +75\.0 % +1 +3h 00m/)
    expect(summary.stdout).toMatch(/2026-06-01T09:00 +█{40} 100\.0 %/)
    expect((await run('waits', ...window)).stdout).toMatch(
      /1 wait\n.* 50m 00s +queued +workflow assay for sealer/,
    )
    const short = await run('waits', '--least_ms=3000001', ...window)
    expect(short.stdout).toBe('1 wait\n1 is shorter than 3000001 ms; --least_ms=0 shows it, too\n')
    expect((await run('waits', '--least_ms=x', ...window)).code).toBe(2)
    expect((await run('compare', ...window)).stdout).toMatch(
      /node sealer: busy 1h 00m in MADSci's own report, 1h 00m exactly\n/,
    )
    expect((await run('compare', ...window)).stdout).toContain('error_not_read')
    expect((await run('sessions', ...window)).stdout).toMatch(/experiments +█{20}·{20} +50\.0 %/)
    expect((await run('user', ...window)).stdout).toMatch(/ada +█{40} .*1 workflow,/)
    expect((await run('periods', '--zone=UTC', ...window)).stdout).toMatch(/2026-06-01 +█{20}·{20} +50\.0 %/)

    expect(JSON.parse((await run('summary', '--json', ...window)).stdout).items.length).toBe(1)
    expect(
      (await run('timeline', '--format=csv', '--kind=node', ...window)).stdout.split('\r\n').length,
    ).toBe(6)
    expect((await run('sessions', '--format=csv', ...window)).stdout).toContain('=== SESSION DETAILS ===')
    expect(await run('weather')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('timeline, summary'),
    })
    expect((await run('summary', '--zone=Nowhere')).code).toBe(2)
    for (const form of [[], ['--json'], ['--format=csv']]) {
      const refused = await run('periods', ...form)
      expect(refused).toMatchObject({ code: 2, stdout: '' })
      expect(refused.stderr).toContain('--start_time=2026-11-01 --end_time=now')
    }
    // The node itself is of no user; what this one did there is.
    const ofUser = (await run('summary', '--user=ada', ...window)).stdout
    expect(ofUser).toMatch(/\nsealer .* - +- +/)
    const types = (await run('summary', '--by=workflow_type', ...window)).stdout
    expect(types).toMatch(
      /queue p50 +p90 +run p50 +p90 +runs +failed +open\nassay .* 50m 00s +50m 00s +1h 05m +1h 05m +1 /,
    )
    const path = (await run('user', '--output_path=weekly', ...window)).stdout.trim()
    expect(await readFile(path, 'utf8')).toContain('=== USER DETAILS ===')
  })

  for (const columns of [80, 160])
    it(`every report fits ${columns} columns, as in the file that somebody looked at`, async () => {
      const file = join(import.meta.dirname, `terminal/utilization-${columns}.txt`)
      let text = ''
      for (const report of [
        ['summary', '--bucket=hour'],
        ['summary', '--by=user'],
        ['timeline', '--zone=America/Chicago'],
        ['waits'],
        ['compare'],
        ['sessions'],
        ['periods', '--zone=UTC'],
        ['user'],
      ])
        text += `$ utilization ${report.join(' ')}\n${(await runAt(columns, ...report, ...window)).stdout}\n`
      const ids = [node_id, workcell_id, workflow_id, experiment_id]
      const shown = ids.reduce(
        (all, id) => all.replaceAll(id, 'I'.repeat(26)).replaceAll(id.slice(-8), 'I'.repeat(8)),
        text.replace(/\b01[0-9A-Z]{24}\b/g, (id) => (ids.includes(id) ? id : 'E'.repeat(26))),
      )
      if (process.env.UPDATE_TERMINAL === '1') await writeFile(file, shown)
      expect(shown).toBe(await readFile(file, 'utf8'))
      for (const line of shown.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(columns)
    })

  it('bars and charts are as wide as wanted', () => {
    expect(toBar(50, 4)).toBe('██··')
    expect(toBar(null, 4)).toBe('····')
    expect(toStackedBar({ busy: 1, idle: 1, error: 1 }, 10).length).toBe(10)
    expect(toStackedBar({}, 3)).toBe('   ')
    expect([0, 8500, 1_250_000, 200e6, 3900e6, null].map(toDuration)).toEqual([
      '0s',
      '8.5ms',
      '1.25s',
      '3m 20s',
      '1h 05m',
      '-',
    ])
    const gantt = createGantt({ start: 0, end: 100 }, 4)
    gantt.add('n', 'arm', 'busy', 0, 60)
    gantt.add('n', 'arm', 'error', 60, 61)
    gantt.add('n', 'arm', 'idle', 61, 100)
    expect(gantt.lines(5)).toEqual(['arm   ██✗─'])
  })
})
