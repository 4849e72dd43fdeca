import { setTimeout as sleep } from 'node:timers/promises'

/** Settles when the condition holds; throws, saying what was waited for, when it does not in time. */
export async function waitUntil(
  condition: () => Promise<boolean>,
  what: string,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await condition().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await sleep(250)
  }
}
