import {
  type Context,
  type ContextManager,
  type DiagLogger,
  type LoggerProvider,
  type MeterProvider,
  ROOT_CONTEXT,
  type TracerProvider,
} from '@opentelemetry/api'

/** What a program has registered with OpenTelemetry's API. */
export interface ProgramApi {
  context?: ContextManager
  trace?: TracerProvider
  metrics?: MeterProvider
  logs?: LoggerProvider
  diag?: DiagLogger
}

/**
 * Where all copies and all 1.x versions of the API keep it. A copy of a newer minor version ignores what an older one has
 * registered, and what it registers itself locks the older one out:
 *
 *     program      ── @opentelemetry/api 1.9  ──registers──▶ globalThis[key] ◀──would not look── 1.10 ── this package
 *
 * So this package registers nothing, and looks here. What it uses is the same in all 1.x versions, and a Context too has
 * its values under symbols that all copies share.
 */
const key = Symbol.for('opentelemetry.js.api.1')
const registry = globalThis as { [key]?: ProgramApi }
const nothing: ProgramApi = {}

export function programApi(): ProgramApi {
  return registry[key] ?? nothing
}

/** The program's active context; undefined without a context manager. */
export function programContext(): Context | undefined {
  return programApi().context?.active()
}

/** Calls `run` with this as the program's active context, where it has a context manager. */
export function withProgramContext<Result>(change: (active: Context) => Context, run: () => Result): Result {
  const { context } = programApi()
  return context === undefined ? run() : context.with(change(context.active()), run)
}

/** The root context of whichever copy: one without values. */
export function isRoot(context: Context): boolean {
  if (context === ROOT_CONTEXT) return true
  const { _currentContext: values } = context as { _currentContext?: Map<symbol, unknown> }
  return values?.size === 0
}
