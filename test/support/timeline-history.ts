import { ulidFrom } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import type { TimelineEvent } from '../../receiver/src/utilization/timeline/reader.ts'
import type { PlainEvent } from './timeline-reference.ts'

/** Made-up histories of a laboratory, dense enough that everything meets everything. */

const idOf = (kind: number, number: number) =>
  ulidFrom(1_700_000_000_000 + kind * 1000 + number, new Uint8Array(10))
const some = (kind: number, count: number) =>
  fc.integer({ min: 1, max: count }).map((number) => idOf(kind, number))
const node = some(1, 2)
const workcell = some(2, 2)
const lab = some(3, 1)
const workflow = some(4, 3)
const step = some(5, 4)
const action = some(6, 4)
const experiment = some(7, 2)
const campaign = some(8, 1)

const maybe = <T>(arbitrary: fc.Arbitrary<T>, key: string) =>
  fc.option(arbitrary, { nil: undefined }).map((value) => (value === undefined ? {} : { [key]: value }))

/** Merges objects. */
const together = (...parts: fc.Arbitrary<object>[]) =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as { [key: string]: unknown })

const flags = fc.record(
  {
    busy: fc.boolean(),
    errored: fc.boolean(),
    paused: fc.boolean(),
    locked: fc.boolean(),
    stopped: fc.boolean(),
    disconnected: fc.boolean(),
    initializing: fc.boolean(),
  },
  { requiredKeys: ['busy'] },
)

const source = (...parts: fc.Arbitrary<object>[]) =>
  together(...parts) as fc.Arbitrary<{ [key: string]: string }>
const inPlaces = [maybe(workcell, 'workcell_id'), maybe(lab, 'lab_id')]

const kindsOfEvents: fc.Arbitrary<Pick<PlainEvent, 'type' | 'source' | 'data'>> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('node_start', 'node_stop', 'node_error', 'node_create', 'node_config_update'),
      source: source(
        node.map((id) => ({ node_id: id })),
        ...inPlaces,
      ),
      data: fc.constant({}),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('node_status_update'),
      source: source(node.map((id) => ({ node_id: id }))),
      data: together(flags, maybe(fc.uniqueArray(action, { maxLength: 2 }), 'running_actions')),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom('workcell_start', 'workcell_stop', 'workcell_create'),
      source: source(workcell.map((id) => ({ workcell_id: id }))),
      data: fc.constant({}),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('workcell_status_update'),
      source: source(workcell.map((id) => ({ workcell_id: id }))),
      data: fc.record({ paused: fc.boolean(), errored: fc.boolean(), shutdown: fc.boolean() }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom('lab_start', 'lab_stop'),
      source: source(lab.map((id) => ({ lab_id: id }))),
      data: fc.constant({}),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constantFrom('action_start', 'action_complete', 'action_failed', 'action_status_change'),
      source: source(
        maybe(node, 'node_id'),
        maybe(step, 'step_id'),
        maybe(workflow, 'workflow_id'),
        ...inPlaces,
      ),
      data: together(
        fc.oneof(
          { weight: 5, arbitrary: action.map((id) => ({ action_id: id })) },
          { weight: 1, arbitrary: fc.constant({ action: 'mix' }) },
        ),
        fc
          .constantFrom(
            'not_started',
            'running',
            'running',
            'paused',
            'unknown',
            'succeeded',
            'failed',
            'what?',
          )
          .map((status) => ({ status })),
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'workflow_create',
        'workflow_start',
        'workflow_start',
        'workflow_complete',
        'workflow_abort',
      ),
      source: source(
        workflow.map((id) => ({ workflow_id: id })),
        maybe(experiment, 'experiment_id'),
        ...inPlaces,
      ),
      data: maybe(
        fc.constantFrom(
          { running: false },
          { running: true },
          { paused: true },
          { failed: true, running: false },
        ),
        'status',
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'workflow_step_start',
        'workflow_step_start',
        'workflow_step_complete',
        'workflow_step_failed',
      ),
      source: source(
        step.map((id) => ({ step_id: id })),
        maybe(workflow, 'workflow_id'),
        ...inPlaces,
      ),
      data: fc.constant({}),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'experiment_create',
        'experiment_start',
        'experiment_pause',
        'experiment_continued',
        'experiment_complete',
        'experiment_failed',
        'experiment_cancelled',
      ),
      source: source(experiment.map((id) => ({ experiment_id: id }))),
      data: fc.constant({}),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom('campaign_create', 'campaign_start', 'campaign_complete', 'campaign_abort'),
      source: source(campaign.map((id) => ({ campaign_id: id }))),
      data: fc.constant({}),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constantFrom('log_info', 'data_store', 'resource_update', 'manager_start', 'test'),
      source: source(maybe(node, 'node_id')),
      data: fc.constant({ message: 'nothing of interest' }),
    }),
  },
)

/** As the Python client stores a typed event that is logged with a text: type and ids inside event_data. */
function asLog(
  event: Pick<PlainEvent, 'type' | 'source' | 'data'>,
): Pick<PlainEvent, 'type' | 'source' | 'data'> {
  return {
    type: 'log_info',
    source: {},
    data: { message: 'text', ...event.data, ...event.source, event_type: event.type },
  }
}

export const historyStart = Date.UTC(2026, 2, 8, 5) * 1000

/** Events in order of arrival; their times know nothing of it, and often coincide. */
export const historyArbitrary: fc.Arbitrary<PlainEvent[]> = fc
  .array(fc.tuple(kindsOfEvents, fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 9 })), {
    maxLength: 60,
  })
  .map((list) =>
    list.map(([event, minute, log], index) => ({
      ...(log === 0 ? asLog(event) : event),
      id: ulidFrom(1_750_000_000_000 + index, new Uint8Array(10).fill(index)),
      at: historyStart + minute * 60_000_000,
    })),
  )

/** As the reader takes it. */
export function toTimelineEvent({ id, type, at, source, data }: PlainEvent): TimelineEvent {
  const members = data as { [name: string]: unknown } | null
  return {
    id,
    type,
    micros: at,
    source: (name) => source[name],
    data: () => data,
    field: (name) => members?.[name],
  }
}
