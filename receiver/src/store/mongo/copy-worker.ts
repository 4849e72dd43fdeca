import { once } from 'node:events'
import { createWriteStream, writeFileSync } from 'node:fs'
import { finished } from 'node:stream/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { BSON, MongoClient, type MongoClientOptions } from 'mongodb'
import { privateFileMode } from '../../private-file.ts'
import { yieldToOthers } from '../../thread.ts'
import { readBsonFile } from './bson-file.ts'

/** The thread of a backup: one collection as mongodump writes it, so that mongorestore reads it too, and read once more. */
export interface CopyWorkerData {
  url: string
  clientOptions: MongoClientOptions
  databaseName: string
  collectionName: string
  dataFile: string
  metadataFile: string
}

yieldToOthers()
const { url, clientOptions, databaseName, collectionName, dataFile, metadataFile } =
  workerData as CopyWorkerData
const client = new MongoClient(url, clientOptions)
try {
  const collection = client.db(databaseName).collection(collectionName)
  const indexes = await collection.indexes().catch(() => [])
  const metadata = { indexes, collectionName, type: 'collection', options: {} }
  writeFileSync(metadataFile, BSON.EJSON.stringify(metadata, { relaxed: false }), { mode: privateFileMode })
  const output = createWriteStream(dataFile, { mode: privateFileMode, flush: true, highWaterMark: 1 << 20 })
  let events = 0
  const cursor = collection.find({}, { raw: true, batchSize: 1000 }).sort({ $natural: 1 })
  while (await cursor.hasNext()) {
    const documents = cursor.readBufferedDocuments() as unknown as Uint8Array[]
    events += documents.length
    // Buffers of the driver are reused by no one: they may be written as they are.
    if (!output.write(Buffer.concat(documents))) await once(output, 'drain')
  }
  output.end()
  await finished(output)
  let count = 0
  for await (const chunk of readBsonFile(dataFile)) count += chunk.length
  if (count !== events) throw new Error(`the copy holds ${count} of ${events} events`)
  parentPort!.postMessage({ events })
} catch (error) {
  parentPort!.postMessage({ failed: (error as Error).message })
} finally {
  await client.close()
}
