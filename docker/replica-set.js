// Makes the three mongod of compose.full.yaml one replica set, once; run again it changes nothing.
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'

const members = ['mongo-1:27017', 'mongo-2:27017', 'mongo-3:27017']
const config = { _id: 'rs0', members: members.map((host, _id) => ({ _id, host })) }
const deadline = Date.now() + 120_000
for (;;) {
  const client = new MongoClient(`mongodb://${members[0]}/?directConnection=true`, {
    serverSelectionTimeoutMS: 2000,
  })
  try {
    await client.db('admin').command({ replSetInitiate: config })
    console.log('the replica set is made')
    break
  } catch (error) {
    if (error.codeName === 'AlreadyInitialized') break
    if (Date.now() > deadline) throw error
    console.log(`waiting for the members: ${error.message}`)
    await sleep(1000)
  } finally {
    await client.close()
  }
}
const client = new MongoClient(`mongodb://${members.join(',')}/?replicaSet=rs0`, {
  serverSelectionTimeoutMS: 60_000,
})
await client.db('admin').command({ ping: 1 })
await client.close()
