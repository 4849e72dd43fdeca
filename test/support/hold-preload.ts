// Loaded into a receiver before its own code: writes into HOLD_FILE how long its main thread was held at most, ms of
// processor time (so that a busy machine counts for nothing), between two turns of its event loop. A file that was
// taken away begins anew.
import { existsSync, renameSync, writeFileSync } from 'node:fs'
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
      // Whole at any moment for the one who reads it.
      writeFileSync(`${file}.new`, heldMs.toFixed(1))
      renameSync(`${file}.new`, file)
    }
    lastMs = cpuMs()
  }, 2).unref()
}
