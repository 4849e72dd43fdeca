import type { Sender } from './sender.ts'
import type { Tally } from './tally.ts'

interface Ending {
  sender: Sender
  tally: Tally
}

const endings = new Set<Ending>()

/**
 * A script of five lines ends before its events are sent. When the event loop runs dry we flush, which keeps the
 * process alive until the answer. process.exit() and signals do not come by here.
 */
export function onExit(sender: Sender, tally: Tally): () => void {
  const ending = { sender, tally }
  if (endings.size === 0) process.on('beforeExit', flushAll)
  endings.add(ending)
  return () => {
    endings.delete(ending)
    if (endings.size === 0) process.off('beforeExit', flushAll)
  }
}

// `beforeExit` comes again after each round of work: what failed once is given up, or the process would never end.
async function flushAll(): Promise<void> {
  const waiting = [...endings].filter(({ tally }) => tally.stats.waiting > 0)
  await Promise.all(
    waiting.map(async (ending) => {
      const { sender, tally } = ending
      await sender.flush().catch(() => {})
      if (tally.stats.waiting === 0) return
      endings.delete(ending)
      tally.tell('exit', `the program ends, and ${tally.stats.waiting} events are lost with it`)
    }),
  )
}
