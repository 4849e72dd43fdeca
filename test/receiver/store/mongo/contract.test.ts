import { MongoClient } from 'mongodb'
import { silentLog } from '../../../../receiver/src/log.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { schemaVersion } from '../../../../receiver/src/store/mongo/schema.ts'
import { describeEventStore } from '../../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../../support/mongod.ts'

const found = await findMongo()
const reason = 'skip' in found ? found.skip : ''

for (const replicaSet of [false, true]) {
  describeEventStore(
    replicaSet ? 'MongoDB, replica set' : 'MongoDB, standalone',
    async () => {
      const mongod = await startMongod({ replicaSet })
      const client = await new MongoClient(mongod.url).connect()
      const databaseName = freshDatabaseName()
      const db = client.db(databaseName)
      const meta = db.collection<{ _id: string; version: number }>('events_meta')
      return {
        open: () => openMongoStore({ url: mongod.url, databaseName, log: silentLog, leaseMs: 500 }),
        // An existing MADSci database: its own version, and nothing of ours.
        async makeOlder() {
          await meta.deleteMany({})
          await db.collection('events').dropIndexes()
        },
        async makeNewer() {
          await meta.updateOne({ _id: 'schema' }, { $set: { version: schemaVersion + 1 } }, { upsert: true })
        },
        async makeCurrent() {
          await meta.updateOne({ _id: 'schema' }, { $set: { version: schemaVersion } })
        },
        async stop() {
          await db.dropDatabase()
          await client.close()
          await mongod.stop()
        },
      }
    },
    reason,
  )
}
