import { MongoClient } from 'mongodb'

const defaultUrl = 'mongodb://localhost:27017'
const defaultName = 'madsci_events'

/** The URL of a MADSci event database at MongoDB's default address; undefined when there is none, or none to be seen. */
export async function findMadsciDatabase(
  url: string = defaultUrl,
  databaseName: string = defaultName,
): Promise<string | undefined> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 500, connectTimeoutMS: 500 })
  try {
    const events = client.db(databaseName).collection('events')
    return (await events.findOne({}, { projection: { _id: 1 }, maxTimeMS: 500 })) ? url : undefined
  } catch {
    return undefined
  } finally {
    await client.close()
  }
}
