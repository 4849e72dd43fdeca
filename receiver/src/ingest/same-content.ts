import { isDeepStrictEqual } from 'node:util'
import { isObject, parseJson } from '@madsci-events/sdk/event'

// What is left out of the comparison, with room to spare.
const slackCharacters = 256

/**
 * Whether a stored event and one of the same id that came again say the same, both as JSON. Of what the sender said: a time
 * that it left out was filled in anew, and archived events are the same events.
 */
export function isSameContent(storedJson: string, sentJson: string, isTimed: boolean): boolean {
  // One writer wrote both: an event of megabytes is not parsed for a small one under its id.
  if (Math.abs(storedJson.length - sentJson.length) > slackCharacters) return false
  const content = (json: string) => {
    const value = parseJson(json)
    if (!isObject(value)) return value
    const { archived: _, archived_at: __, event_timestamp: time, ...rest } = value
    return isTimed ? { ...rest, event_timestamp: time } : rest
  }
  return storedJson === sentJson || isDeepStrictEqual(content(storedJson), content(sentJson))
}
