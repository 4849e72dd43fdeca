import { parentPort, workerData } from 'node:worker_threads'
import { yieldToOthers } from '../../thread.ts'
import { openReadable } from './connection.ts'

/** The thread that reads the whole file at the start, to find damage before somebody asks for what it lies in. */
yieldToOthers()
try {
  const database = openReadable(workerData as string)
  const verdict = Object.values(database.prepare('PRAGMA quick_check(1)').get()!)[0]
  database.close()
  parentPort!.postMessage({
    trouble: verdict === 'ok' ? undefined : `database disk image is malformed: ${verdict}`,
  })
} catch (error) {
  // Damage may already keep the file from being read.
  parentPort!.postMessage({ trouble: (error as Error).message })
}
