import { type EventLevel, parseLevel } from '@madsci-events/sdk/event'

const otherWords: { [word: string]: string } = { warn: 'warning', fatal: 'critical' }

/** A level as an operator says it: what parseLevel takes, and the words of other loggers. */
export function toLevel(text: unknown): EventLevel | undefined {
  if (typeof text !== 'string') return parseLevel(text)
  const word = text.trim()
  return parseLevel(otherWords[word.toLowerCase()] ?? word)
}
