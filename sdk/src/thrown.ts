import type { EventLevel } from './event/level.ts'
import type { EndStatus } from './payload.ts'
import { isError } from './realm.ts'

/** What was thrown: anything, undefined included. */
export interface Thrown {
  error: unknown
}

export interface Ending {
  status: EndStatus
  level: EventLevel
  /** What to say of it; '' when it completed. */
  text: string
  /** For `event_data.exception`: an Error as it is, anything else as what it is and says. */
  exception: Error | { type: string; message: string } | undefined
}

const told = new WeakSet<object>()

/** How something ended, by what was thrown, if anything was. Total. */
export function toEnding(thrown: Thrown | undefined): Ending {
  if (thrown === undefined) return { status: 'completed', level: 20, text: '', exception: undefined }
  const { error } = thrown
  const text = thrownText(error)
  const exception = isError(error) ? error : { type: error === null ? 'null' : typeof error, message: text }
  if (isAbort(error)) return { status: 'cancelled', level: 30, text, exception }
  return { status: 'failed', level: isFirst(error) ? 40 : 30, text, exception }
}

/** Each error raises one alert: the activities around the one that failed only pass it on. */
function isFirst(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return true
  if (told.has(error)) return false
  told.add(error)
  return true
}

function isAbort(error: unknown): boolean {
  try {
    return (error as { name?: unknown } | null | undefined)?.name === 'AbortError'
  } catch {
    return false
  }
}

function thrownText(error: unknown): string {
  try {
    if (typeof error !== 'object' || error === null) return String(error)
    const { message } = error as { message?: unknown }
    return typeof message === 'string' ? message : (JSON.stringify(error) ?? String(error))
  } catch {
    return 'something that cannot be read'
  }
}
