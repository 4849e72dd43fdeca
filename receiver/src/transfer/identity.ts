import { createHash } from 'node:crypto'
import { parseTimestamp, ulidFrom } from '@madsci-events/sdk/event'

/** The id of an event that has none: the same for the same line, when a file is read again. */
export type Identity = (line: string, time: string) => string

const seenLines = 100_000

/** Of more than `maxSeen` different lines, the place tells the further ones apart: what they said before is not remembered. */
export function createIdentity(maxSeen = seenLines): Identity {
  const seen = new Map<string, number>()
  let place = 0
  return (line, time) => {
    const digest = createHash('sha256').update(line).digest('base64')
    place++
    // A line that is there again is another event.
    const count = (seen.get(digest) ?? 0) + 1
    const isKept = count > 1 || seen.size < maxSeen
    if (isKept) seen.set(digest, count)
    const hash = createHash('sha256')
      .update(`${line}\n${isKept ? count : `at ${place}`}`)
      .digest()
    const parsed = parseTimestamp(time)
    const text = 'reason' in parsed ? undefined : parsed.text
    const timeMs = text === undefined ? 0 : Date.parse(text.endsWith('Z') ? text : `${text}Z`)
    return ulidFrom(timeMs, hash.subarray(0, 10))
  }
}
