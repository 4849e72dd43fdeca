import { findMongo, freshDatabaseName, startMongod } from './mongod.ts'

export const storeNames = ['sqlite', 'mongodb'] as const
export type StoreName = (typeof storeNames)[number]

/** Settings of a receiver on this store, with a database of its own; or why there is none. `stop` ends what was started for it. */
export async function prepareStore(
  name: StoreName,
): Promise<{ flags: { [name: string]: string }; stop: () => Promise<void> } | { skip: string }> {
  if (name === 'sqlite') return { flags: {}, stop: async () => {} }
  const source = await findMongo()
  if ('skip' in source) return source
  const mongod = await startMongod()
  return {
    flags: { document_db_url: mongod.url, database_name: freshDatabaseName() },
    stop: () => mongod.stop(),
  }
}
