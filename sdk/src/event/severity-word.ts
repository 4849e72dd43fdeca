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
  if (Object.hasOwn(severities, plain)) return severities[plain]
  const short = shortName.exec(plain)
  return short ? severities[short[1]!]! + Number(short[2]) - 1 : undefined
}

// OpenTelemetry's names of the numbers between: INFO2, ERROR4.
const shortName = /^(trace|debug|info|warn|error|fatal)([1-4])$/
