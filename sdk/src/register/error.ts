import type { EventClient } from '../client.ts'
import type { Source } from '../event/event.ts'
import { toEnding } from '../thrown.ts'

/** Makes an event of the error that ends the program; the program ends as it would have. */
export function captureErrors(events: EventClient, processIds: Source): void {
  const event_type = processIds.node_id
    ? 'node_error'
    : processIds.manager_id
      ? 'manager_error'
      : 'log_critical'
  process.on('uncaughtExceptionMonitor', (error: unknown, origin) => {
    const { text, exception } = toEnding({ error })
    const event_data = { message: `The program ends: ${text}`, origin, exception }
    events.critical({ event_type, event_data })
  })
}
