import { format, stripVTControlCharacters } from 'node:util'
import type { EventClient } from '../client.ts'
import { isError } from '../realm.ts'

const methods = {
  trace: 'debug',
  debug: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warning',
  error: 'error',
} as const

/**
 * Makes an event of what the program writes with `console`, beside writing it. OpenTelemetry's own diagnostics go by
 * another way, so that trouble with the delivery makes no events.
 */
export function captureConsole(events: EventClient): void {
  let isInside = false
  for (const [method, level] of Object.entries(methods) as [keyof typeof methods, 'debug'][]) {
    const original = console[method]
    console[method] = (...args: unknown[]) => {
      // What an object writes when it is inspected, it has written for the program's own line.
      if (isInside) return
      original.apply(console, args)
      isInside = true
      try {
        const error = args.find(isError)
        const message = stripVTControlCharacters(error === args[0] && error ? error.message : format(...args))
        events[level](message, { console: method, ...(error && { exception: error }) })
      } catch {
        // An object that cannot be formatted has been written already, or has thrown at the program above.
      } finally {
        isInside = false
      }
    }
  }
}
