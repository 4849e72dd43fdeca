import { EventError } from '@madsci-events/sdk/event'

const wrongLines = new WeakSet<object>()

/** An error of the command line itself: told in words without a code, and with exit code 2. As JSON it is an EVT_CONFIG. */
export function wrong(message: string): EventError {
  const error = new EventError('EVT_CONFIG', message)
  wrongLines.add(error)
  return error
}

export const isWrong = (error: unknown): boolean => error instanceof Error && wrongLines.has(error)
