import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient, type NodeStatus } from '@madsci-events/sdk'
import { createEventId, type Event, isUlid } from '@madsci-events/sdk/event'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'

let endpoint: OtlpEndpoint
let events: EventClient
const node_id = createEventId()
beforeEach(async () => {
  endpoint = await startOtlpEndpoint()
  events = new EventClient({ url: endpoint.url, name: 'arm', source: { node_id } })
})
afterEach(async () => {
  await events.close().catch(() => {})
  await endpoint.close()
})

async function arrived(): Promise<Event[]> {
  await events.flush()
  return endpoint.events
}

const typesOf = (all: Event[]) => all.map((event) => event.event_type)
const dataOf = (event: Event | undefined) => event?.event_data as { [key: string]: unknown }

describe('an activity', () => {
  it('What `run` gives or throws is what the caller gets, whatever becomes of the events.', async () => {
    const value = { a: 1 }
    expect(events.action('sync', () => value)).toBe(value)
    expect(await events.action('async', async () => value)).toBe(value)
    expect(events.action('nothing', () => undefined)).toBe(undefined)
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: it is what is tested
      then: (resolve: (text: string) => void) => resolve('lazily'),
    } as PromiseLike<string>
    expect(await events.action('thenable', () => thenable)).toBe('lazily')
    const error = new Error('jam')
    const thrown: unknown[] = [error, 'text', 7, undefined, null, { code: 3 }, Object.create(null)]
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    thrown.push(revoked.proxy)
    for (const one of thrown) {
      const seen: unknown[] = []
      try {
        events.action('throws', () => {
          throw one
        })
      } catch (caught) {
        seen.push(caught)
      }
      await events
        .action('rejects', async () => {
          throw one
        })
        .catch((caught) => seen.push(caught))
      expect(seen.length).toBe(2)
      expect(seen.every((caught) => Object.is(caught, one))).toBe(true)
    }
    const hostile = {
      get args() {
        throw new Error('no')
      },
    }
    expect(events.action('hostile', hostile, () => 5)).toBe(5)
    expect(events.action(Symbol('name') as never, null as never, () => 6)).toBe(6)
    await events.close()
    expect(events.action('closed', () => 8)).toBe(8)
  })

  it('Everything inside, however deep and however late, carries the trace and the ids.', async () => {
    const workflow_id = createEventId()
    const bound = events.bind({ lab_id: createEventId() })
    let late: Promise<void> | undefined
    await bound.workflow('assay', { workflow_id }, async () => {
      await events.step('move', async () => {
        await sleep(1)
        await Promise.all([
          events.action('a', async () => {
            await sleep(2)
            events.info('inside a')
          }),
          events.action('b', async () => void events.info('inside b')),
        ])
      })
      late = sleep(5).then(() => void events.info('late'))
    })
    await late
    events.info('outside')
    const all = await arrived()
    const { trace_id } = all.find((event) => event.event_type === 'workflow_start')!
    expect(trace_id).toMatch(/^[0-9a-f]{32}$/)
    const inside = all.filter((event) => dataOf(event).message !== 'outside')
    expect(inside.length).toBe(15)
    for (const event of inside) {
      expect(event.trace_id).toBe(trace_id)
      expect(event.source).toMatchObject({ node_id, workflow_id })
      expect(isUlid(event.source.lab_id!)).toBe(true)
    }
    const named = (message: string) => all.find((event) => dataOf(event).message === message)!
    expect(named('inside a').span_id).toBe(named('a started').span_id)
    expect(named('inside b').span_id).toBe(named('b started').span_id)
    expect(named('inside a').span_id).not.toBe(named('inside b').span_id)
    expect(isUlid(named('inside a').source.step_id!)).toBe(true)
    expect(named('late').source.step_id).toBe(undefined)
    expect(named('outside')).toMatchObject({ trace_id: null, source: { node_id } })
    expect(named('outside').source.workflow_id).toBe(undefined)
  })

  it('An error that passes through several activities is told at level 40 once, by the innermost; then at 30.', async () => {
    const failing = events.experiment('growth', () =>
      events.workflow('assay', () =>
        events.step('move', () =>
          events.action('transfer', async () => {
            throw new TypeError('Plate missing')
          }),
        ),
      ),
    )
    await expect(failing).rejects.toThrow('Plate missing')
    const ends = (await arrived()).filter(
      ({ event_data }) => (event_data as { status?: string }).status === 'failed',
    )
    expect(ends.map(({ event_type, log_level }) => [event_type, log_level])).toEqual([
      ['action_failed', 40],
      ['action_status_change', 20],
      ['workflow_step_failed', 30],
      ['workflow_complete', 30],
      ['experiment_failed', 30],
    ])
    expect(dataOf(ends[0])).toMatchObject({
      message: 'transfer failed: Plate missing',
      exception: {
        type: 'TypeError',
        message: 'Plate missing',
        stacktrace: expect.stringContaining('activity.test'),
      },
    })
  })

  it('an action is told twice at the same moment under one id: for reports old and new', async () => {
    await events.action(
      'transfer_plate',
      { args: { from: 'A1', to: 'B2' }, data: { batch: 3 } },
      async (activity) => {
        activity.add({ wells: 96 })
        await sleep(20)
      },
    )
    const [start, running, complete, done] = await arrived()
    const { action_id } = dataOf(start) as { action_id: string }
    expect(isUlid(action_id)).toBe(true)
    expect(start).toMatchObject({ event_type: 'action_start', log_level: 20, source: { node_id } })
    expect(dataOf(start)).toEqual({
      message: 'transfer_plate started',
      batch: 3,
      action_id,
      action: 'transfer_plate',
      args: { from: 'A1', to: 'B2' },
      status: 'running',
    })
    expect(running).toMatchObject({
      event_type: 'action_status_change',
      event_timestamp: start!.event_timestamp,
      event_data: { action_id, action: 'transfer_plate', status: 'running' },
    })
    expect(dataOf(complete)).toEqual({
      message: 'transfer_plate completed',
      batch: 3,
      wells: 96,
      action_id,
      action: 'transfer_plate',
      status: 'completed',
      duration_seconds: expect.any(Number),
    })
    expect(dataOf(complete).duration_seconds).toBeGreaterThan(0.015)
    expect(done).toMatchObject({
      event_type: 'action_status_change',
      event_timestamp: complete!.event_timestamp,
      event_data: { action_id, status: 'completed' },
    })
  })

  it('workflows, steps and experiments say what MADSci and its reports look for', async () => {
    const ids = { workflow_id: createEventId(), step_id: createEventId(), experiment_id: createEventId() }
    await events.experiment('growth', ids, async () => {
      await events.workflow('assay', { workflow_id: ids.workflow_id, author: 'ada' }, async () => {
        events.step('move', { step_id: ids.step_id }, () => 1)
      })
    })
    const all = await arrived()
    expect(typesOf(all)).toEqual([
      'experiment_start',
      'workflow_start',
      'workflow_step_start',
      'workflow_step_complete',
      'workflow_complete',
      'experiment_complete',
    ])
    const [experiment, workflow, step, stepEnd, workflowEnd, experimentEnd] = all
    expect(experiment).toMatchObject({
      source: { experiment_id: ids.experiment_id },
      event_data: {
        experiment_id: ids.experiment_id,
        experiment_name: 'growth',
        experiment: { experiment_design: { experiment_name: 'growth' } },
        status: 'running',
      },
    })
    expect(workflow!.source).toMatchObject({ workflow_id: ids.workflow_id, experiment_id: ids.experiment_id })
    expect(dataOf(workflow)).toMatchObject({ workflow_id: ids.workflow_id, name: 'assay', author: 'ada' })
    expect(dataOf(step)).toMatchObject({ step_id: ids.step_id, workflow_id: ids.workflow_id, step: 'move' })
    expect(stepEnd!.source).toMatchObject(ids)
    for (const end of [stepEnd, workflowEnd, experimentEnd]) {
      expect(dataOf(end)).toMatchObject({ status: 'completed', duration_seconds: expect.any(Number) })
    }
    expect(dataOf(workflowEnd)).toMatchObject({ workflow_id: ids.workflow_id, author: 'ada' })
  })

  it('an AbortError is a cancellation', async () => {
    const stop = new AbortController()
    const waiting = events.experiment('growth', () =>
      events.workflow('assay', () => events.action('wait', () => sleep(60_000, null, stop))),
    )
    stop.abort()
    await expect(waiting).rejects.toThrow('abort')
    const ends = (await arrived()).slice(-4)
    expect(ends.map(({ event_type, log_level }) => [event_type, log_level])).toEqual([
      ['action_failed', 30],
      ['action_status_change', 20],
      ['workflow_complete', 30],
      ['experiment_cancelled', 30],
    ])
    for (const end of ends) expect(dataOf(end).status).toBe('cancelled')
  })

  it('ids that are none are told and left out; a workflow, step or experiment gets one of its own', async () => {
    await events.workflow('assay', { workflow_id: 'nope', node_id: 'x', user_id: 7 as never }, async () => {})
    const [start, end] = await arrived()
    expect(isUlid(start!.source.workflow_id!)).toBe(true)
    expect(dataOf(start).workflow_id).toBe(start!.source.workflow_id)
    expect(end!.source).toEqual(start!.source)
    expect(start!.source).toMatchObject({ node_id })
    expect(events.stats.altered).toBe(3)
  })

  it('a workflow inside of another is another; the id of the client is its own', async () => {
    const workflow_id = createEventId()
    events.bind({ workflow_id }).workflow('outer', () => {
      events.workflow('inner', () => {})
    })
    const [outer, inner] = await arrived()
    expect(outer!.source.workflow_id).toBe(workflow_id)
    expect(inner!.source.workflow_id).not.toBe(workflow_id)
    expect(inner!.trace_id).toBe(outer!.trace_id)
  })

  it('ids of an event win over those of its client, these over those around, these over those of the process', async () => {
    const id = Array.from({ length: 4 }, () => createEventId()) as [string, string, string, string]
    const bound = events.bind({ workflow_id: id[1] })
    events.action('move', { node_id: id[2], workflow_id: id[2], step_id: id[2] }, () => {
      bound.log({ event_type: 'test', source: { step_id: id[0] } })
    })
    const inside = (await arrived()).find((event) => event.event_type === 'test')
    expect(inside!.source).toEqual({ node_id: id[2], workflow_id: id[1], step_id: id[0] })
  })

  it('tells the status of a node by a word or by the flags of MADSci', async () => {
    const cases: [NodeStatus | string, string, number][] = [
      ['warming up', 'warming up', 30],
      ['idle', 'idle', 20],
      [{}, 'ready', 20],
      [{ busy: true, running_actions: new Set(['a']) }, 'busy', 20],
      [{ busy: true, errored: true, errors: [new Error('jam')] }, 'errored', 30],
      [{ waiting_for_config: ['port'] }, 'initializing', 20],
      [{ disconnected: true, errored: true }, 'disconnected', 30],
      [null as never, 'ready', 20],
    ]
    for (const [status] of cases) events.nodeStatus(status, { node_name: 'arm' })
    const all = await arrived()
    expect(all.map((event) => [event.event_type, dataOf(event).message, event.log_level])).toEqual(
      cases.map(([, word, level]) => ['node_status_update', `The node is ${word}`, level]),
    )
    const flags = ['disconnected', 'stopped', 'errored', 'initializing', 'locked', 'paused', 'busy']
    const none = Object.fromEntries(flags.map((name) => [name, false]))
    expect(dataOf(all[0])).toMatchObject({ node_name: 'arm', status: 'warming up' })
    expect(dataOf(all[2]).status).toEqual(none)
    expect(dataOf(all[3]).status).toEqual({ ...none, busy: true, running_actions: ['a'] })
    expect(all[3]!.source).toEqual({ node_id })
  })
})
