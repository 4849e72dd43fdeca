/** MADSci's log levels, as Python's logging numbers them. */
export const eventLevels = [0, 10, 20, 30, 40, 50] as const
export type EventLevel = (typeof eventLevels)[number]
export const levelNames = ['notset', 'debug', 'info', 'warning', 'error', 'critical'] as const
export type LevelName = (typeof levelNames)[number]

const byName = new Map<string, EventLevel>(levelNames.map((name, i) => [name, eventLevels[i]!]))
const severityNumbers = [0, 5, 9, 13, 17, 21] as const
const severityTexts = ['', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const

/** Accepts what the original accepts: a level's number, the number as text, its name in any case, `EventLogLevel.NAME`. */
export function parseLevel(input: unknown): EventLevel | undefined {
  if (typeof input === 'number') return eventLevels.find((level) => level === input)
  if (typeof input !== 'string') return undefined
  const name = input.toLowerCase().replace(/^eventloglevel\./, '')
  return (
    byName.get(name) ??
    (/^[+-]?\d+(\.0*)?$/.test(input) ? eventLevels.find((level) => level === Number(input)) : undefined)
  )
}

export function levelName(level: EventLevel): LevelName {
  return levelNames[eventLevels.indexOf(level)]!
}

/** MADSci level → OTel SeverityNumber (0 for NOTSET). */
export function toSeverity(level: EventLevel): { number: number; text: string } {
  const i = level / 10
  return { number: severityNumbers[i]!, text: severityTexts[i]! }
}

/** OTel SeverityNumber → MADSci level; 0 and anything outside 1–24 is MADSci's default, INFO. */
export function fromSeverity(severityNumber: number): EventLevel {
  if (severityNumber >= 1 && severityNumber <= 8) return 10
  if (severityNumber >= 13 && severityNumber <= 16) return 30
  if (severityNumber >= 17 && severityNumber <= 20) return 40
  if (severityNumber >= 21 && severityNumber <= 24) return 50
  return 20
}
