import { countOf } from './plural.ts'
import type { Sender } from './sender.ts'
import type { Tally } from './tally.ts'

interface Ending {
  sender: Sender
  tally: Tally
}

const endings = new Set<Ending>()
const flushed = new WeakSet<Ending>()

/**
 * A script of five lines ends before its events are sent. When the event loop runs dry we flush, which keeps the process
 * alive until the answer. An end by process.exit() or an error does not wait: what is in the spool is sent by the next
 * process of the same name, and so is what exit handlers behind ours emit. A signal or a SIGKILL does not come by here at
 * all, and loses nothing that is in the spool.
 */
export function onExit(sender: Sender, tally: Tally): () => void {
  const ending = { sender, tally }
  if (endings.size === 0) {
    process.on('beforeExit', flushAll)
    process.on('exit', leaveAll)
  }
  endings.add(ending)
  return () => {
    endings.delete(ending)
    if (endings.size > 0) return
    process.off('beforeExit', flushAll)
    process.off('exit', leaveAll)
  }
}

// `beforeExit` comes again after each round of work: what failed once is given up, or the process would never end. Nor does
// a program wait anew that has just waited as long in its own flush.
async function flushAll(): Promise<void> {
  const waiting = [...endings].filter(
    (ending) => ending.sender.isBusy && !ending.sender.hasGivenUp && !flushed.has(ending),
  )
  await Promise.all(
    waiting.map(async (ending) => {
      await ending.sender.flush().catch(() => flushed.add(ending))
    }),
  )
}

function leaveAll(): void {
  for (const { sender, tally } of endings) {
    const count = sender.leave('the program ends, and they are lost with it', true)
    if (count === 0 && tally.stats.left > 0)
      tally.tell(
        'left',
        `${countOf(tally.stats.left, 'event stays', 'events stay')} in the spool: the next program of this name sends what is there`,
      )
  }
  endings.clear()
}
