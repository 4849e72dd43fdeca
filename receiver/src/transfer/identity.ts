import { createHash } from 'node:crypto'
import { parseTimestamp, ulidFrom } from '@madsci-events/sdk/event'

/** The id of an event that has none: the same for the same line, when a file is read again. */
export type Identity = (line: string, time: string) => string

const maxSeen = 100_000

export function createIdentity(): Identity {
  const seen = new Map<string, number>()
  return (line, time) => {
    const digest = createHash('sha256').update(line).digest('base64')
    // A line that is there again is another event.
    const count = (seen.get(digest) ?? 0) + 1
    if (seen.size > maxSeen) seen.clear()
    seen.set(digest, count)
    const hash = createHash('sha256').update(`${line}\n${count}`).digest()
    const parsed = parseTimestamp(time)
    const text = 'reason' in parsed ? undefined : parsed.text
    const timeMs = text === undefined ? 0 : Date.parse(text.endsWith('Z') ? text : `${text}Z`)
    return ulidFrom(timeMs, hash.subarray(0, 10))
  }
}
