// Asks the original for the reports of the scripted days: node --conditions=madsci-events-source test/peer/golden.ts (MADSCI_PEER, MongoDB)
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { labDays } from '../support/lab-day.ts'
import { startMadsci } from '../support/madsci.ts'
import { freshDatabaseName, startMongod } from '../support/mongod.ts'
import { findPeer } from '../support/peer.ts'
import { toComparable } from '../support/report-text.ts'

const folder = join(import.meta.dirname, '../receiver/utilization/golden')
const peer = findPeer('MADSCI_PEER')
if ('skip' in peer) throw new Error(peer.skip)
const mongod = await startMongod()
const client = new MongoClient(mongod.url)
const databaseName = freshDatabaseName()
const madsci = await startMadsci(peer.path, mongod.url, databaseName)
try {
  const events = client.db(databaseName).collection('events')
  for (const day of labDays) {
    const lines: string[] = []
    for (const request of day.requests) {
      // Some reports store events of their own.
      await events.deleteMany({})
      await madsci.post(day.events)
      const answer = toComparable(request, await madsci.report(request))
      lines.push(JSON.stringify({ request, answer: answer.startsWith('{') ? JSON.parse(answer) : answer }))
    }
    await writeFile(join(folder, `${day.name}.ndjson`), `${lines.join('\n')}\n`)
    console.log(`${day.name}: ${lines.length} reports`)
  }
} finally {
  await madsci.stop()
  await client.close()
  await mongod.stop()
}
