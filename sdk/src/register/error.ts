import type { EventClient } from '../client.ts'
import type { Source } from '../event/event.ts'
import { toEnding } from '../thrown.ts'

/** A handler that stops the program's work first and then ends it has this long, in ms. */
const endingMs = 10_000

/**
 * Makes an event of the error that ends the program; the program ends as it would have. An error that the program catches
 * by a handler of its own ends nothing, unless the program exits with a failure within ten seconds of it.
 */
export function captureErrors(events: EventClient, processIds: Source): void {
  const event_type = processIds.node_id
    ? 'node_error'
    : processIds.manager_id
      ? 'manager_error'
      : 'log_critical'
  let caught: { error: unknown; origin: string; atMs: number } | undefined

  function tell(error: unknown, origin: string): void {
    const { text, exception } = toEnding({ error })
    const event_data = { message: `The program ends: ${text}`, origin, exception }
    events.critical({ event_type, event_data })
  }

  process.on('uncaughtExceptionMonitor', (error: unknown, origin) => {
    if (isCaught()) caught = { error, origin, atMs: performance.now() }
    else tell(error, origin)
  })
  process.on('exit', (code) => {
    if (caught === undefined || code === 0 || performance.now() - caught.atMs > endingMs) return
    tell(caught.error, caught.origin)
  })
}

/** Whether the program has a handler that Node asks before it ends. */
function isCaught(): boolean {
  const { domain } = process as { domain?: NodeJS.EventEmitter | null }
  return (
    process.listenerCount('uncaughtException') > 0 ||
    process.hasUncaughtExceptionCaptureCallback() ||
    (domain?.listenerCount('error') ?? 0) > 0
  )
}
