import { isDeepStrictEqual } from 'node:util'
import { isObject, parseJson } from '@madsci-events/sdk/event'

/**
 * Whether a stored event and one of the same id that came again say the same, both as JSON. Of what the sender said: a time
 * that it left out was filled in anew, and archived events are the same events.
 */
export function isSameContent(storedJson: string, sentJson: string, isTimed: boolean): boolean {
  const content = (json: string) => {
    const value = parseJson(json)
    if (!isObject(value)) return value
    const { archived: _, archived_at: __, event_timestamp: time, ...rest } = value
    return isTimed ? { ...rest, event_timestamp: time } : rest
  }
  return storedJson === sentJson || isDeepStrictEqual(content(storedJson), content(sentJson))
}
