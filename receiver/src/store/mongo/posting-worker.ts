import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { MongoClientOptions } from 'mongodb'
import { yieldToOthers } from '../../thread.ts'

/** The thread that makes postings, behind the commits. */
export interface PostingWorkerData {
  url: string
  clientOptions: MongoClientOptions
  databaseName: string
  collectionName: string
}

yieldToOthers(19)
const { MongoClient } = await import('mongodb')
const { primaryOf } = await import('./connection.ts')
const { createIndexBuilder } = await import('./posting-builder.ts')
const { url, clientOptions, databaseName, collectionName } = workerData as PostingWorkerData
const port = parentPort!
// A tenth of one core while events come, and half of one while none do.
const restForWork = { busy: 9, idle: 1 }
const pauseMs = 250
const troubleMs = 2000

for (;;) {
  // A failed connect leaves a closed client behind.
  const client = new MongoClient(url, clientOptions)
  try {
    await client.connect()
    const builder = createIndexBuilder(primaryOf(client, databaseName), collectionName, (message) =>
      port.postMessage(message),
    )
    for (;;) {
      const startedMs = performance.now()
      const { isDone, isBusy } = await builder.step()
      const workMs = performance.now() - startedMs
      await sleep(Math.max(isDone ? pauseMs : 0, workMs * (isBusy ? restForWork.busy : restForWork.idle)))
    }
  } catch {
    // The database is away, which health tells, or another receiver was quicker.
    await client.close().catch(() => {})
    await sleep(troubleMs)
  }
}
