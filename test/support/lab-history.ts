import { createEventId, type Event, type EventType, microsToTimestamp } from '@madsci-events/sdk/event'
import { createRandom } from './workload.ts'

export interface LabHistoryOptions {
  events: number
  /** One session of the workcell, from 08:00 to 20:00, on each of so many days. */
  days: number
  seed?: number
}

/** What a history is made of, for whoever reads a figure. */
export const historyMix =
  '40 % node_status_update, 20 % action_status_change, 5 % workflow_* and experiment_*, 35 % logs, about 600 bytes each'

const firstDayMicros = Date.UTC(2026, 0, 5) * 1000
const hourMicros = 3_600_000_000

/**
 * A laboratory over many days, in order of time, in batches of some thousand: twelve nodes that run actions, workflows of
 * five users, experiments that overlap, and everything that is logged meanwhile.
 */
export function* makeLabHistory({ events, days, seed = 1 }: LabHistoryOptions): Generator<Event[]> {
  const random = createRandom(seed)
  const pick = <Item>(list: readonly Item[]) => list[Math.floor(random() * list.length)]!
  const nodes = Array.from({ length: 12 }, () => createEventId())
  const workcell = createEventId()
  const users = ['ada', 'grace', 'alan', 'edsger', 'barbara']
  const running = new Map<string, string>()
  const workflows: string[] = []
  const experiments: string[] = []
  const comment =
    'aspirate, dispense, mix three times, blow out; all wells of the plate were read before and after'

  const make = (
    type: EventType,
    micros: number,
    source: Event['source'],
    data: Event['event_data'],
  ): Event => ({
    event_id: createEventId(),
    event_type: type,
    log_level: 20,
    alert: false,
    event_timestamp: microsToTimestamp(Math.round(micros)),
    source,
    event_data: data,
    trace_id: null,
    span_id: null,
    archived: false,
    archived_at: null,
  })

  function any(micros: number): Event {
    const kind = random()
    const node_id = pick(nodes)
    const source = { node_id, workcell_id: workcell }
    if (kind < 0.4) {
      return make('node_status_update', micros, source, {
        status: {
          ready: random() < 0.9,
          busy: running.has(node_id),
          errored: false,
          paused: false,
          locked: false,
        },
        running_actions: running.has(node_id) ? [running.get(node_id)!] : [],
        last_state: { temperature: Math.round(random() * 400) / 10, position: [1, 2, 3], comment },
        config: { host: '10.0.0.7', port: 2000, module: 'liquid_handler', calibration: [0.12, 0.98, 1.44] },
      })
    }
    if (kind < 0.6) {
      const action = running.get(node_id)
      const action_id = action ?? createEventId()
      if (action === undefined) running.set(node_id, action_id)
      else running.delete(node_id)
      return make('action_status_change', micros, source, {
        action_id,
        action_name: 'transfer',
        status: action === undefined ? 'running' : random() < 0.97 ? 'succeeded' : 'failed',
        args: { from: `A${Math.floor(random() * 12)}`, to: `B${Math.floor(random() * 8)}`, volume_ul: 12.5 },
        files: {},
        history: [{ status: 'not_started' }, { status: 'running' }],
        comment,
      })
    }
    if (kind < 0.625) {
      const isStart = workflows.length < 8 && random() < 0.5
      const workflow_id = isStart || workflows.length === 0 ? createEventId() : workflows.shift()!
      if (isStart || !workflows.length) workflows.push(workflow_id)
      return make(
        isStart ? 'workflow_start' : 'workflow_complete',
        micros,
        { workcell_id: workcell },
        {
          workflow_id,
          name: 'plate assay',
          author: pick(users),
          status: 'completed',
          duration_seconds: Math.round(random() * 3_600_000) / 1000,
          comment,
        },
      )
    }
    if (kind < 0.65) {
      const isStart = experiments.length < 4 && random() < 0.5
      const experiment_id = isStart || experiments.length === 0 ? createEventId() : experiments.shift()!
      if (isStart) experiments.push(experiment_id)
      return make(
        isStart ? 'experiment_start' : 'experiment_complete',
        micros,
        { experiment_id },
        {
          experiment: { experiment_design: { experiment_name: 'growth curve' } },
          status: 'completed',
          comment,
        },
      )
    }
    return make('log_info', micros, source, {
      message: `Transferred ${Math.floor(random() * 200)} ul from A${Math.floor(random() * 12)}; ${comment}`,
      volume_ul: Math.round(random() * 1000) / 10,
      well: Math.floor(random() * 96),
      tip: { rack: 2, column: 7, used: random() < 0.5 },
      temperatures: [Math.round(random() * 400) / 10, Math.round(random() * 400) / 10],
      operator: pick(users),
    })
  }

  let made = 0
  for (let day = 0; day < days; day++) {
    const count = Math.floor((events * (day + 1)) / days) - made
    const from = firstDayMicros + (day * 24 + 8) * hourMicros
    const to = from + 12 * hourMicros
    let batch: Event[] = [make('workcell_start', from, { workcell_id: workcell }, { name: 'Main' })]
    for (let index = 1; index < count - 1; index++) {
      batch.push(any(from + ((to - from) * index) / count))
      if (batch.length < 2000) continue
      yield batch
      batch = []
    }
    batch.push(make('workcell_stop', to, { workcell_id: workcell }, {}))
    yield batch
    made += count
  }
}
