/** MADSci's event types (0.8.1), in the order in which the original lists them in its error messages. */
export const eventTypes = [
  'unknown',
  'log',
  'log_debug',
  'log_info',
  'log_warning',
  'log_error',
  'log_critical',
  'test',
  'lab_create',
  'lab_start',
  'lab_stop',
  'node_create',
  'node_start',
  'node_stop',
  'node_config_update',
  'node_status_update',
  'node_error',
  'workcell_create',
  'workcell_start',
  'workcell_stop',
  'workcell_config_update',
  'workcell_status_update',
  'workflow_create',
  'workflow_start',
  'workflow_complete',
  'workflow_abort',
  'experiment_create',
  'experiment_start',
  'experiment_complete',
  'experiment_failed',
  'experiment_cancelled',
  'experiment_pause',
  'experiment_continued',
  'campaign_create',
  'campaign_start',
  'campaign_complete',
  'campaign_abort',
  'action_status_change',
  'resource_create',
  'resource_update',
  'resource_delete',
  'resource_allocate',
  'resource_release',
  'location_create',
  'location_update',
  'location_delete',
  'attachment_create',
  'attachment_delete',
  'data_store',
  'data_query',
  'data_export',
  'manager_start',
  'manager_stop',
  'manager_error',
  'manager_health_check',
  'workflow_step_start',
  'workflow_step_complete',
  'workflow_step_failed',
  'action_start',
  'action_complete',
  'action_failed',
  'backup_create',
  'backup_restore',
] as const
/** What 0.5 and 0.6 wrote for a type that was renamed: it is stored as it came, for their clients read no other word. */
export const oldEventTypes = { experiment_stop: 'experiment_cancelled' } as const
export type EventType = (typeof eventTypes)[number] | keyof typeof oldEventTypes

const known = new Map<string, EventType>(
  [...eventTypes, ...(Object.keys(oldEventTypes) as (keyof typeof oldEventTypes)[])].map((type) => [
    type,
    type,
  ]),
)

/** The event type that a word names, in any case; undefined when it names none. */
export function parseEventType(text: string): EventType | undefined {
  return known.get(text) ?? known.get(text.toLowerCase())
}

/** The type by the name that MADSci gives it today. */
export function currentType<T extends string>(type: T): T | EventType {
  return Object.hasOwn(oldEventTypes, type) ? oldEventTypes[type as keyof typeof oldEventTypes] : type
}

/** The type itself, and what older or newer releases call it. */
export function namesOfType(type: string): string[] {
  const current = currentType(type)
  const old = Object.entries(oldEventTypes).flatMap(([name, today]) => (today === current ? [name] : []))
  return old.length === 0 ? [type] : [current, ...old]
}

/** Every word that is a type, of all releases. */
export const allEventTypes: readonly EventType[] = [...known.values()]
