import { EventError } from './event/error.ts'
import type { Sender } from './sender.ts'
import type { Stats, Tally } from './tally.ts'

/** One endpoint, with what waits for it and what became of that. */
export interface Destination {
  /** Without what may be a password in it. */
  url: string
  sender: Sender
  tally: Tally
}

/** What is told of it. */
export interface DestinationStats {
  url: string
  stats: Stats
}

/**
 * Several destinations as one, the first of which counts for whether a record was taken. Each has all that it needs of
 * its own: what one of them does not take waits for it alone.
 */
export function joinDestinations([first, ...others]: [Destination, ...Destination[]]): Sender {
  if (others.length === 0) return first.sender
  const all = [first, ...others]
  return {
    get isBusy() {
      return all.some(({ sender }) => sender.isBusy)
    },
    get hasGivenUp() {
      return all.every(({ sender }) => !sender.isBusy || sender.hasGivenUp)
    },
    send(encoded) {
      const isTaken = first.sender.send(encoded)
      for (const { sender, tally } of others) {
        tally.stats.emitted++
        sender.send(encoded)
      }
      return isTaken
    },
    flush: (options) => settleAll((one) => one.flush(options)),
    close: (options) => settleAll((one) => one.close(options)),
    async drained() {
      await Promise.all(all.map(({ sender }) => sender.drained()))
    },
    leave: (why, isExit) => all.reduce((count, { sender }) => count + sender.leave(why, isExit), 0),
  }

  /** All of them, before one that fails is told of. */
  async function settleAll(call: (sender: Sender) => Promise<void>): Promise<void> {
    const results = await Promise.allSettled(all.map(({ sender }) => call(sender)))
    const failures = results.flatMap((result, i) =>
      result.status === 'rejected' ? [{ url: all[i]!.url, error: result.reason as Error }] : [],
    )
    const [failure] = failures
    if (failure === undefined) return
    const text = failures.map(({ url, error }) => `${url}: ${error.message}`).join('; ')
    const { error } = failure
    const code = error instanceof EventError ? error.code : 'EVT_UNREACHABLE'
    throw new EventError(code, text, { cause: error })
  }
}
