import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isRun, type Run } from '../../../../receiver/src/utilization/timeline/entity.ts'
import type { TimelineFold } from '../../../../receiver/src/utilization/timeline/fold.ts'
import {
  intervalsOf,
  knownIntervals,
  totalsOf,
  type Window,
} from '../../../../receiver/src/utilization/timeline/interval.ts'
import { kinds } from '../../../../receiver/src/utilization/timeline/kind.ts'
import { toWindow } from '../../../../receiver/src/utilization/timeline/parameter.ts'
import { selectEntities } from '../../../../receiver/src/utilization/timeline/select.ts'
import { silentMicros } from '../../../../receiver/src/utilization/timeline/span.ts'
import { summarize } from '../../../../receiver/src/utilization/timeline/summary.ts'
import { findWaits } from '../../../../receiver/src/utilization/timeline/wait.ts'
import { createZone } from '../../../../receiver/src/utilization/timeline/zone.ts'
import { foldOf, labStart, parseRecording, type Told, toLogs } from '../../../support/lab-event.ts'

const filter = {
  kinds,
  nodeId: undefined,
  workcellId: undefined,
  user: undefined,
  experimentId: undefined,
}
const summaryOf = (fold: TimelineFold, window: Window, by: Parameters<typeof summarize>[3]['by']) =>
  summarize(fold, filter, window, { by, bucket: undefined, zone: createZone('UTC') })
const ofKind = (fold: TimelineFold, kind: string) =>
  [...fold.history.entities.values()].filter((entity) => entity.kind === kind)

const minute: Window = { start: labStart, end: labStart + 60e6 }
const [node, workcell, step, asked, answered] = [
  '01M8AGRXEHD5RZGC5PV6XDP6C2',
  '01M8AGM96FETWEJHDZQ8H35114',
  '01M8AGVT5SZ6A058C5FZH30VY5',
  '01M8AGVWRZ0000000000000001',
  '01M8AGVWSZJ5BSMMX2SZW4K6C6',
]
const byWorkcell = { workcell_id: workcell }
const request = { node_name: 'liquidhandler_1', step_id: step, action_id: asked }
const result = (status: string) => ({ action_result: { action_id: answered, status } })

const history: Told[] = [
  [0, 'node_start', { node_id: node }, { node_info: { node_name: 'liquidhandler_1', node_id: node } }],
  [10, 'action_start', byWorkcell, request],
  [10.1, 'action_status_change', { node_id: node }, result('running')],
  [13.1, 'action_status_change', { node_id: node }, result('succeeded')],
  [13.9, 'action_complete', byWorkcell, request],
]

/** Nodes with their busy seconds and runs, and the runs' outcomes. */
function shape(told: readonly Told[], window = minute) {
  const fold = foldOf(toLogs(told))
  return {
    nodes: summaryOf(fold, window, 'node').map(({ name, totals_us, runs }) => ({
      name,
      busy: totals_us.busy / 1e6,
      runs: runs.total,
      open: runs.open,
    })),
    outcomes: ofKind(fold, 'action').map((run) => isRun(run) && run.outcome),
    fold,
  }
}

const once = [{ name: 'liquidhandler_1', busy: 3, runs: 1, open: 0 }]

describe('what emitters say', () => {
  it('a node by name and by id is one node, and a request and its answer are one run', () => {
    expect(shape(history)).toMatchObject({ nodes: once, outcomes: ['completed'] })
  })

  it('so it is in any order of arrival, and when the name comes before the id', () => {
    const lost: Told = [
      -5,
      'node_status_update',
      byWorkcell,
      { node_name: 'liquidhandler_1', message: 'Node status update failed; marking disconnected' },
    ]
    const told = toLogs([lost, ...history])
    for (let turn = 0; turn < told.length; turn++) {
      const arrived = [...told.slice(turn), ...told.slice(0, turn)]
      const fold = foldOf([])
      for (const event of arrived) foldOf([event], fold)
      const nodes = summaryOf(fold, minute, 'node').map(({ id, name, totals_us, runs }) => [
        id,
        name,
        totals_us.busy,
        runs.total,
      ])
      expect(nodes, `begins with event ${turn}`).toEqual([[node, 'liquidhandler_1', 3e6, 1]])
    }
  })

  it('the answer belongs to the step of the request', () => {
    const { fold } = shape(history)
    const [run] = ofKind(fold, 'action') as Run[]
    expect(run).toMatchObject({
      id: answered,
      links: { step_id: step, node_id: node, workcell_id: workcell },
    })
  })

  it('a release under the id of the answer joins them too', () => {
    const told = history.map((one): Told => [...one])
    told[4]![3] = { ...request, action_id: answered }
    expect(shape(told)).toMatchObject({ nodes: once, outcomes: ['completed'] })
  })

  it('a result at the top of event_data, as 0.5 and 0.6 write it', () => {
    const told = history.map(
      ([at, type, source, data]): Told => [at, type, source, { ...data, ...(data?.action_result as object) }],
    )
    expect(shape(told)).toMatchObject({ nodes: once, outcomes: ['completed'] })
  })

  it('the end of its step ends an action whose end was not heard', () => {
    const told: Told[] = [
      ...history.slice(0, 3),
      [14, 'workflow_step_complete', byWorkcell, { step_id: step, step_status: 'ActionStatus.FAILED' }],
    ]
    expect(shape(told)).toMatchObject({ nodes: [{ busy: 3.9, runs: 1, open: 0 }], outcomes: ['failed'] })
  })

  it('a node that never speaks for itself is taken at the word of its workcell', () => {
    const told: Told[] = [
      history[1]!,
      history[4]!,
      [14, 'workflow_step_complete', byWorkcell, { step_id: step, step_status: 'ActionStatus.SUCCEEDED' }],
    ]
    expect(shape(told)).toMatchObject({
      nodes: [{ name: 'liquidhandler_1', busy: 3.9, runs: 1, open: 0 }],
      outcomes: ['completed'],
    })
  })

  it('members of Python enums', () => {
    for (const [text, outcome] of [
      ['ActionStatus.CANCELLED', 'cancelled'],
      ['ActionStatus.FAILED', 'failed'],
      ['ActionStatus.SUCCEEDED', 'completed'],
      ['ActionStatus.UNKNOWN', 'unknown'],
    ]) {
      const fold = foldOf(
        toLogs([
          [0, 'workflow_step_start', byWorkcell, { step_id: step, workflow_id: workcell }],
          [
            1,
            'workflow_step_complete',
            byWorkcell,
            { step_id: step, workflow_id: workcell, step_status: text },
          ],
        ]),
      )
      expect(ofKind(fold, 'step')[0], text).toMatchObject({ outcome })
    }
  })

  it('a query that went wrong is no end', () => {
    const told = [...history]
    told.splice(3, 0, [
      11,
      'action_failed',
      byWorkcell,
      { ...request, action_id: answered, message: 'Exception while querying action result' },
    ])
    expect(shape(told)).toMatchObject({ nodes: once, outcomes: ['completed'] })
  })

  it('a request that the node refused is no run', () => {
    const told: Told[] = [
      history[0]!,
      history[1]!,
      [10.2, 'action_failed', byWorkcell, { ...request, message: 'Failed sending action request' }],
      history[4]!,
    ]
    expect(shape(told)).toMatchObject({ nodes: [{ busy: 0, runs: 0, open: 0 }], outcomes: [] })
  })

  it('a workflow that waits when its experiment is over is over, unless a step of it runs after all', () => {
    const of = { experiment_id: '01M8AGT5A1XQ4N6T8K1YH0W3C5' }
    const [wf, run_name] = ['01M8AGT6B2XQ4N6T8K1YH0W3C6', 'run']
    const given: Told[] = [
      [0, 'experiment_start', of, { ...of, run_name, message: 'Experiment run started' }],
      [
        1,
        'workflow_start',
        of,
        { ...of, workflow_id: wf, workflow_name: 'soak', message: 'Workflow start successful' },
      ],
      [
        9,
        'experiment_complete',
        of,
        { ...of, run_name, status: 'completed', message: 'Experiment run ended' },
      ],
    ]
    const workflowOf = (told: readonly Told[]) => {
      const fold = foldOf(toLogs(told))
      const [run] = ofKind(fold, 'workflow') as Run[]
      const intervals = intervalsOf(run!.last, minute).map(
        ({ state, cause, isOpen }) => `${state} ${cause}${isOpen ? ' open' : ''}`,
      )
      return [run!.outcome, intervals]
    }
    expect(workflowOf(given)).toEqual(['unknown', ['idle queued']])
    const stepOf = { workflow_id: wf, step_id: step, step_node: 'arm', step_action: 'move' }
    const late: Told[] = [
      [12, 'workflow_step_start', byWorkcell, stepOf],
      [13, 'workflow_step_complete', byWorkcell, stepOf],
      [
        14,
        'workflow_complete',
        byWorkcell,
        {
          workflow_id: wf,
          workflow_name: 'soak',
          workflow_status: 'completed',
          message: 'Workflow completed',
        },
      ],
    ]
    expect(workflowOf([...given, ...late])).toEqual([
      'completed',
      ['idle queued', 'busy running', 'idle waiting'],
    ])
  })

  it('a node that its workcell does not reach is down, and so are not those that it does reach again', () => {
    const lost = 'Node status update failed; marking disconnected'
    const told: Told[] = [
      ...history.slice(0, 3),
      [20, 'node_status_update', byWorkcell, { node_name: 'liquidhandler_1', message: lost }],
      [
        30,
        'node_status_update',
        byWorkcell,
        { node_names: ['liquidhandler_1'], message: 'Retrying connection to disconnected nodes' },
      ],
      [100, 'workcell_status_update', byWorkcell, { message: 'No workflows ready to run' }],
    ]
    const { fold } = shape(told)
    const states = intervalsOf(fold.history.find('node', node)!.last, {
      start: labStart,
      end: labStart + 120e6,
    }).map(({ state, cause, start }) => [state, cause, (start - labStart) / 1e6])
    expect(states).toEqual([
      ['idle', 'ready', 0],
      ['busy', 'running', 10.1],
      ['down', 'disconnected', 20],
      ['idle', 'ready', 100],
    ])
    expect(fold.history.find('action', answered)!.last).toMatchObject({
      state: 'unknown',
      cause: 'disconnected',
    })
  })
})

describe('a recorded laboratory', () => {
  const events = parseRecording(readFileSync(join(import.meta.dirname, 'lab/real-lab-0.8.1.ndjson'), 'utf8'))
  const times = events.map(({ at }) => at)
  const window = { start: Math.min(...times), end: Math.max(...times) + 1 }
  const fold = foldOf(events)

  it('busy times and runs of its nodes are those of the nodes themselves', () => {
    const nodes = summaryOf(fold, window, 'node').map(({ id, name, totals_us, runs }) => ({
      id,
      name,
      busy: Math.round(totals_us.busy / 1e3) / 1e3,
      completed: runs.completed,
      total: runs.total,
    }))
    expect(nodes).toEqual([
      {
        id: '01M8AGSHZ6QHKTQG2G60YRKSGJ',
        name: 'advanced_example_node',
        busy: 9.422,
        completed: 4,
        total: 4,
      },
      { id: '01M8AGRXEHD5RZGC5PV6XDP6C2', name: 'liquidhandler_1', busy: 14.006, completed: 6, total: 6 },
      { id: '01M8AGS29BKFRPRQC4CM584J5R', name: 'liquidhandler_2', busy: 0, completed: 0, total: 0 },
      { id: '01M8AGSDG6RT6VD9VG6N7M7013', name: 'platereader_1', busy: 8.853, completed: 4, total: 4 },
      { id: '01M8AGS84R6PSADPGPXWVT3KZ7', name: 'robotarm_1', busy: 0, completed: 0, total: 0 },
    ])
  })

  it('its busy time is the sum of the nodes’ own events, to the microsecond', () => {
    const running = new Map<string, { node: string; at: number }>()
    const busy = new Map<string, number>()
    for (const { at, source, data } of [...events].sort((a, b) => a.at - b.at)) {
      const one = (data as { action_result?: { action_id: string; status: string } } | null)?.action_result
      if (!one) continue
      if (one.status === 'running') running.set(one.action_id, { node: source.node_id!, at })
      const begun = running.get(one.action_id)
      if (one.status === 'succeeded' && begun)
        busy.set(begun.node, (busy.get(begun.node) ?? 0) + at - begun.at)
    }
    expect(busy.size).toBe(3)
    for (const [id, micros] of busy)
      expect(totalsOf(intervalsOf(fold.history.find('node', id)!.last, window)).busy, id).toBe(micros)
  })

  it('a node whose process was killed is down from then on', () => {
    const after = intervalsOf(fold.history.find('node', '01M8AGSDG6RT6VD9VG6N7M7013')!.last, window).at(-1)
    expect(after).toMatchObject({ state: 'down', cause: 'disconnected', isOpen: true })
    expect(new Date(after!.start / 1000).toISOString()).toBe('2026-11-25T23:35:12.333Z')
  })

  it('six workflows, two of them with a failed step, of two users and of their experiments', () => {
    const outcomes = ofKind(fold, 'workflow').map((run) => isRun(run) && run.outcome)
    expect(outcomes.sort()).toEqual(['completed', 'completed', 'completed', 'completed', 'failed', 'failed'])
    const failedSteps = ofKind(fold, 'step').filter((run) => isRun(run) && run.outcome === 'failed')
    expect(failedSteps).toHaveLength(2)
    const experiments = summaryOf(fold, window, 'experiment').map(({ runs }) => runs.total)
    expect(experiments.sort()).toEqual([0, 3, 3])
    expect(
      ofKind(fold, 'experiment')
        .map((run) => isRun(run) && run.outcome)
        .sort(),
    ).toEqual(['completed', 'failed', 'failed'])
  })

  it('nothing is open at the end, and nobody waits for what is over', () => {
    const open = [...fold.history.entities.values()].filter(
      (entity) => isRun(entity) && entity.last !== undefined && entity.last.state !== 'over',
    )
    expect(open).toEqual([])
    expect(findWaits(fold, filter, window).filter(({ isOpen }) => isOpen)).toEqual([])
    expect(ofKind(fold, 'workcell')).toHaveLength(1)
  })

  it('comes to the same in any order of arrival', () => {
    const shown = (one: TimelineFold) =>
      [...one.history.entities.values()]
        .map(({ kind, id, last }) => [kind, id, intervalsOf(last, window)])
        .sort()
    const shuffled = events
      .map((event, index) => ({ event, key: (index * 7919) % events.length }))
      .sort((a, b) => a.key - b.key)
    const warm = foldOf([])
    for (let at = 0; at < shuffled.length; at += 50)
      foldOf(
        shuffled.slice(at, at + 50).map(({ event }) => event),
        warm,
      )
    expect(shown(warm)).toEqual(shown(fold))
  })
})

describe('what is not known', () => {
  const hour = silentMicros / 24 / 1e6
  const silences = (count: number) => labStart + count * silentMicros
  const states = (told: readonly Told[], id: string, window: Window) => {
    const fold = foldOf(toLogs(told))
    const [found] = selectEntities(fold, filter, window).filter(({ entity }) => entity.id === id)
    return knownIntervals(found!.entity, found!.last, found!.known, window).map(
      ({ state, cause, start, end }) => [
        state,
        cause,
        (start - labStart) / silentMicros,
        (end - labStart) / silentMicros,
      ],
    )
  }
  const day = { start: labStart, end: silences(24) }
  const start = history[0]!

  it('a node that fell silent is unknown a day later, until it is heard again', () => {
    const told: Told[] = [
      start,
      [12 * hour, 'log_info', { node_id: node }, { message: 'hello' }],
      [240 * hour, 'log_info', { node_id: node }, {}],
    ]
    expect(states(told, node, day)).toEqual([
      ['idle', 'ready', 0, 1.5],
      ['unknown', 'silent', 1.5, 10],
      ['idle', 'ready', 10, 11],
      ['unknown', 'silent', 11, 24],
    ])
  })

  it('a node is known as long as its workcell speaks, which would tell that it does not reach it', () => {
    const alive = Array.from(
      { length: 23 },
      (_, turn): Told => [
        turn * 24 * hour + 60,
        'workcell_status_update',
        byWorkcell,
        { message: 'No workflows ready to run' },
      ],
    )
    const told: Told[] = [
      start,
      [1, 'workcell_start', byWorkcell, { nodes: { liquidhandler_1: 'http://localhost' } }],
      ...alive,
    ]
    expect(states(told, node, { start: labStart, end: silences(23) })).toEqual([['idle', 'ready', 0, 23]])
  })

  it('a run whose own end was heard was busy all the time, one that is open is unknown after a day', () => {
    const told: Told[] = [
      start,
      [0, 'action_status_change', { node_id: node }, result('running')],
      [240 * hour, 'action_status_change', { node_id: node }, result('succeeded')],
    ]
    expect(states(told, answered, day)).toEqual([['busy', 'running', 0, 10]])
    expect(states(told, node, day).slice(0, 2)).toEqual([
      ['busy', 'running', 0, 10],
      ['idle', 'ready', 10, 11],
    ])
    expect(states(told.slice(0, 2), answered, day)).toEqual([
      ['busy', 'running', 0, 1],
      ['unknown', 'silent', 1, 24],
    ])
  })

  it('what said that it stops stays down', () => {
    const told: Told[] = [start, [24 * hour, 'node_stop', { node_id: node }]]
    expect(states(told, node, day)).toEqual([
      ['idle', 'ready', 0, 1],
      ['down', 'stopped', 1, 24],
    ])
  })

  it('a window ends now at the latest', () => {
    const now = silences(0.5)
    expect(toWindow({ start: labStart, end: undefined }, undefined, now)).toEqual({
      start: labStart,
      end: now,
    })
    expect(toWindow({ start: labStart, end: silences(3) }, undefined, now)).toEqual({
      start: labStart,
      end: now,
    })
    expect(toWindow({ start: silences(3), end: silences(4) }, undefined, now)).toEqual({
      start: now,
      end: now,
    })
    const bounds = { first: labStart, last: now - 30e6 }
    expect(toWindow({ start: undefined, end: undefined }, bounds, now)).toEqual({
      start: labStart - 60e6,
      end: now,
    })
  })
})
