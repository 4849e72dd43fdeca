import { createEventId } from '@madsci-events/sdk/event'

/**
 * Canaries are events by which a receiver tries its own doors (see canary.ts): stored and forwarded like any other, and left
 * out wherever events are read for people. Type and id tell them, for each reader has these at hand: the ids are ULIDs that begin with
 * this text, whose time lies in 1983, when no event was made.
 */
export const canaryMark = '00CANARY'
/** Behind all of them. */
export const canaryEnd = '00CANARZ'

/** Their type, of which a laboratory has few events: only their ids need a look. */
export const canaryType = 'unknown'

export const createCanaryId = (): string => canaryMark + createEventId().slice(canaryMark.length)

export const isCanary = (type: string, id: string): boolean =>
  type === canaryType && id.startsWith(canaryMark)

/** For those who have the id alone. */
export const isCanaryId = (id: string): boolean => id.startsWith(canaryMark)

const fewCanaries = 10_000
const sharedMs = 60_000

/** How many of them a store holds, by a count over their ids; many are counted again after a minute. */
export function createCanaryCount(count: () => number | Promise<number>): () => Promise<number> {
  let last = 0
  let countedMs = Number.NEGATIVE_INFINITY
  return async () => {
    if (last >= fewCanaries && performance.now() - countedMs < sharedMs) return last
    last = await count()
    countedMs = performance.now()
    return last
  }
}

/** Whether a query asks for them. */
export const showsCanaries = ({
  canaries,
  selector,
}: {
  canaries?: 'include'
  selector?: { readonly namesCanary: boolean }
}): boolean => canaries === 'include' || selector?.namesCanary === true
