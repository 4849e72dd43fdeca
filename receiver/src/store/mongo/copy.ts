import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { makePrivateFolder } from '../../private-file.ts'
import type { StoreCopy } from '../event-store.ts'
import { runJob } from '../job.ts'
import { workerUrl } from '../worker-url.ts'
import { toClientOptions } from './connection.ts'
import type { CopyWorkerData } from './copy-worker.ts'

export interface CopySource {
  url: string
  databaseName: string
  collectionName: string
}

/** `<database>/<collection>.bson` and its metadata, as mongodump writes them. */
export async function copyCollection(folder: string, source: CopySource): Promise<StoreCopy> {
  const { databaseName, collectionName } = source
  makePrivateFolder(join(folder, databaseName))
  const files = [`${databaseName}/${collectionName}.bson`, `${databaseName}/${collectionName}.metadata.json`]
  const [dataFile, metadataFile] = files.map((file) => join(folder, file)) as [string, string]
  const clientOptions = toClientOptions(source.url, { maxPoolSize: 2, socketTimeoutMS: 0 })
  const data: CopyWorkerData = { ...source, clientOptions, dataFile, metadataFile }
  const { events } = await runJob<{ events: number }>(workerUrl('./mongo/copy-worker'), data)
  const file = await open(dataFile, 'r')
  await file.sync().finally(() => file.close())
  return { files, events }
}
