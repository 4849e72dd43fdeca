import { createEventId, type Event, type EventType, microsToTimestamp } from '@madsci-events/sdk/event'

/** A small generator of numbers, the same for the same seed (mulberry32, public domain). */
export function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const types: readonly EventType[] = [
  'action_start',
  'action_complete',
  'log_info',
  'workflow_step_start',
  'node_status_update',
]

/** Events as a busy laboratory makes them: about 650 bytes of JSON each, ids in time order. Only the ids differ between runs. */
export function makeEvents(count: number, seed = 1): Event[] {
  const random = createRandom(seed)
  const nodeIds = Array.from({ length: 12 }, () => createEventId())
  const workflowIds = Array.from({ length: 40 }, () => createEventId())
  const startMicros = Date.now() * 1000
  const hex = (length: number) =>
    Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join('')
  return Array.from({ length: count }, (_, index) => ({
    event_id: createEventId(),
    event_type: types[Math.floor(random() * types.length)]!,
    log_level: random() < 0.05 ? 40 : random() < 0.2 ? 10 : 20,
    alert: false,
    event_timestamp: microsToTimestamp(startMicros + index * 150),
    source: {
      node_id: nodeIds[Math.floor(random() * nodeIds.length)]!,
      workflow_id: workflowIds[Math.floor(random() * workflowIds.length)]!,
    },
    event_data: {
      message: `Transferred ${Math.floor(random() * 200)} ul from A${index % 12} to B${index % 8}`,
      action: 'transfer',
      action_id: hex(26),
      volume_ul: Math.round(random() * 1000) / 10,
      well: index % 96,
      tip: { rack: index % 4, column: index % 12, used: random() < 0.5 },
      temperatures: [Math.round(random() * 400) / 10, Math.round(random() * 400) / 10],
      operator: 'ada',
      comment: 'aspirate, dispense, mix three times, blow out',
    },
    trace_id: hex(32),
    span_id: hex(16),
    archived: false,
    archived_at: null,
  }))
}

/** Lists of `size` neighbours. */
export function toBatches<Item>(items: readonly Item[], size: number): Item[][] {
  const batches: Item[][] = []
  for (let i = 0; i < items.length; i += size) batches.push(items.slice(i, i + size))
  return batches
}
