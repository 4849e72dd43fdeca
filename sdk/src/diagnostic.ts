import { writeSync } from 'node:fs'
import { format } from 'node:util'
import { DiagConsoleLogger, type DiagLogger, DiagLogLevel } from '@opentelemetry/api'
import { diagLogLevelFromString } from '@opentelemetry/core'
import { programApi } from './program-api.ts'

let own: DiagLogger = new DiagConsoleLogger()
let level = DiagLogLevel.WARN

const loggerAt = (needed: DiagLogLevel): DiagLogger | undefined =>
  programApi().diag ?? (level >= needed ? own : undefined)

/**
 * What the SDK tells of itself: to the program's own diag logger, if it has set one, else to stderr at OTEL_LOG_LEVEL, or
 * `warn`, because a lost event that nobody hears of is worse than a line on stderr.
 */
export const diag: DiagLogger = {
  error: (message, ...args) => loggerAt(DiagLogLevel.ERROR)?.error(message, ...args),
  warn: (message, ...args) => loggerAt(DiagLogLevel.WARN)?.warn(message, ...args),
  info: (message, ...args) => loggerAt(DiagLogLevel.INFO)?.info(message, ...args),
  debug: (message, ...args) => loggerAt(DiagLogLevel.DEBUG)?.debug(message, ...args),
  verbose: (message, ...args) => loggerAt(DiagLogLevel.VERBOSE)?.verbose(message, ...args),
}

/** By the word of OTEL_LOG_LEVEL. */
export function setLogLevel(word: string | undefined): void {
  level = diagLogLevelFromString(word?.trim()) ?? DiagLogLevel.WARN
}

/**
 * For a worker: what it writes with `console` goes to its process by a message, and is lost when the program ends before that
 * is read. From now on it is on the process's own stderr when the call returns.
 */
export function tellOnStderr(): void {
  const tell = (...parts: unknown[]) => {
    try {
      writeSync(2, `${format(...parts)}\n`)
    } catch {
      // A pipe that is full (EAGAIN) or that nobody reads (EPIPE): a line is not worth more.
    }
  }
  own = { error: tell, warn: tell, info: tell, debug: tell, verbose: tell }
}
