// Loaded into a receiver before its own code: writes into HOLD_FILE how long its main thread was held at most, ms of
// processor time (so that a busy machine counts for nothing), between two turns of its event loop. A file that was
// taken away begins anew.
import { existsSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const file = process.env.HOLD_FILE
if (isMainThread && file) {
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let lastMs = cpuMs()
  let mostMs = 0
  setInterval(() => {
    const nowMs = cpuMs()
    const heldMs = nowMs - lastMs
    if (!existsSync(file)) mostMs = 0
    if (heldMs > mostMs) {
      mostMs = heldMs
      writeFileSync(file, heldMs.toFixed(1))
    }
    lastMs = cpuMs()
  }, 2).unref()
}
