import { diag } from '@opentelemetry/api'

/** Words for levels, of pino, winston, npm, syslog, log4j, Python and ECS, as OpenTelemetry numbers severities. */
const severities: { [word: string]: number } = {
  silly: 1,
  finest: 1,
  all: 1,
  trace: 1,
  finer: 2,
  debug: 5,
  dbg: 5,
  fine: 5,
  verbose: 6,
  http: 8,
  info: 9,
  information: 9,
  informational: 9,
  config: 9,
  data: 9,
  log: 9,
  success: 9,
  notice: 10,
  warn: 13,
  warning: 13,
  wrn: 13,
  err: 17,
  error: 17,
  failure: 17,
  severe: 17,
  crit: 21,
  critical: 21,
  fatal: 21,
  alert: 22,
  panic: 23,
  emerg: 24,
  emergency: 24,
}

/** OpenTelemetry's severity of a level's name, in any case; undefined for a word that nobody uses for one. */
export function severityOfWord(word: unknown): number | undefined {
  if (typeof word !== 'string') return undefined
  const plain = word.trim().toLowerCase()
  return Object.hasOwn(severities, plain) ? severities[plain] : undefined
}

/**
 * The severity of a name of the program's own, by its neighbours in the order of its logger (least severe first): above all
 * that are below it, so that it never falls under what the logger itself lets through. Undefined when nothing is known.
 */
export function severityByOrder(name: string, order: readonly string[]): number | undefined {
  const place = order.indexOf(name)
  if (place < 0) return undefined
  const known = (one: string) => severityOfWord(one)
  const below = order
    .slice(0, place)
    .map(known)
    .findLast((one) => one !== undefined)
  const above = order
    .slice(place + 1)
    .map(known)
    .find((one) => one !== undefined)
  if (below === undefined) return above === undefined ? undefined : Math.max(1, above - 1)
  return Math.min(below + 1, above ?? 24, 24)
}

const told = new Set<string>()
const maxTold = 100

/** One line for each word that is no level to us. */
export function tellUnknownLevel(word: unknown, taken: string): void {
  const text = String(word).slice(0, 40)
  if (told.has(text) || told.size >= maxTold) return
  told.add(text)
  diag.warn('madsci-events', `the level '${text}' is none that we know: it counts as ${taken}`)
}
