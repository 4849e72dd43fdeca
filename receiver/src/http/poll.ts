/**
 * Readers that wait for news wake together: those at the same place then ask the same question at the same time, and one
 * answer of the database is enough for all of them. Settles at once when the signal aborts.
 */
export function createPoll(intervalMs: number): (signal: AbortSignal) => Promise<void> {
  const waiting = new Set<() => void>()
  function wakeAll(): void {
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }
  return (signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const wake = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        waiting.delete(wake)
        resolve()
      }
      signal.addEventListener('abort', leave, { once: true })
      if (waiting.size === 0) setTimeout(wakeAll, intervalMs).unref()
      waiting.add(wake)
    })
}
