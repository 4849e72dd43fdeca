import { isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import type { Alerts } from '../alert/alerts.ts'
import type { EventStore } from '../store/event-store.ts'
import type { LabAlert } from './lab-answer.ts'

const maxAlerts = 50
const maxMessage = 300
const openStates = ['firing', 'acknowledged', 'silenced'] as const

/** The members of an alert that are told here. */
interface AlertJson {
  log_level: number
  why: string
  last_event_id: string | null
}

/** What an event says of itself. Events never change: each is read once. */
export interface Said {
  node: string | null
  node_id: string | null
  message: string
}
const nothing: Said = { node: null, node_id: null, message: '' }

export type SaidReader = (id: string) => Promise<Said>
const maxKept = 500

/** What an event says, by its id. */
export function createSaidReader(store: Pick<EventStore, 'get'>): SaidReader {
  const kept = new Map<string, Said>()
  return async (id) => {
    const known = kept.get(id)
    if (known) return known
    const event = await store.get(id)
    if (!event) return nothing
    const said = toSaid(parseJson(event.json))
    kept.set(id, said)
    if (kept.size > maxKept) kept.delete(kept.keys().next().value!)
    return said
  }
}

/** Open alerts, newest first, with what their newest event says. */
export function createAlertReader({ store: alerts }: Alerts, store: EventStore) {
  const read = createSaidReader(store)
  return async (): Promise<(LabAlert & { node_id: string | null })[]> => {
    const found = await Promise.all(openStates.map((state) => alerts.find({ limit: maxAlerts, state })))
    const open = found
      .flat()
      .sort((a, b) => b.openedMs - a.openedMs)
      .slice(0, maxAlerts)
    const shown: (LabAlert & { node_id: string | null })[] = []
    for (const { id, rule, state, openedMs, json } of open) {
      const { log_level, why, last_event_id } = JSON.parse(json) as AlertJson
      const said = last_event_id ? await read(last_event_id) : nothing
      shown.push({
        id,
        rule,
        level: log_level,
        why,
        state,
        opened_at: new Date(openedMs).toISOString(),
        event_id: last_event_id ?? null,
        ...said,
      })
    }
    return shown
  }
}

function toSaid(document: Value): Said {
  if (!isObject(document)) return nothing
  const { source, event_data: input } = document
  const data = isObject(input) ? input : {}
  const info = isObject(data.node_info) ? data.node_info : {}
  const nodeId = isObject(source) ? textOrNull(source.node_id) : null
  const named = textOrNull(data.node_name) ?? textOrNull(info.node_name)
  return {
    // The name by which a program logs is a node's where the event has the node's id.
    node: named ?? (nodeId === null ? null : textOrNull(data.component_name)),
    node_id: nodeId,
    message: (textOrNull(data.message) ?? (typeof input === 'string' ? input : '')).slice(0, maxMessage),
  }
}

const textOrNull = (value: Value | undefined): string | null =>
  typeof value === 'string' && value !== '' ? value : null
