import { afterEach, describe, expect, it } from 'vitest'
import { readGolden, writeGolden } from '../contract/golden.ts'
import { runSteps } from '../contract/rest.ts'
import { findDifferences } from '../contract/rest-difference.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const peer = findPeer('MADSCI_PEER')
const source = await findMongo()

async function startDatabase() {
  const mongod = await startMongod()
  cleanups.push(() => mongod.stop())
  return { url: mongod.url, name: freshDatabaseName() }
}

async function startOriginal({ url, name }: { url: string; name: string }): Promise<string> {
  if ('skip' in peer) throw new Error(peer.skip)
  const port = await findFreePort()
  const original = spawnPeer(peer.path, ['serve', String(port), url, name], { env: { TZ: 'UTC' } })
  cleanups.push(() => original.stop())
  await waitForPort(port, original)
  return `http://127.0.0.1:${port}/`
}

async function startOurs({ url, name }: { url: string; name: string }): Promise<string> {
  const receiver = await startTestReceiver({ flags: { document_db_url: url, database_name: name } })
  cleanups.push(() => receiver.close())
  return receiver.url
}

describe('beside the original', () => {
  it('the original answers the black box as its recorded answers say', async (context) => {
    if ('skip' in peer) return context.skip(peer.skip)
    if ('skip' in source) return context.skip(source.skip)
    const answers = await runSteps(await startOriginal(await startDatabase()))
    if (process.env.MADSCI_UPDATE_GOLDEN) writeGolden(answers)
    expect(answers).toEqual(readGolden())
  })

  it('the receiver answers like it on MongoDB, but for the table of differences', async (context) => {
    if ('skip' in source) return context.skip(source.skip)
    const answers = await runSteps(await startOurs(await startDatabase()))
    expect(findDifferences(readGolden(), answers).join('\n')).toBe('')
  })

  it('the original reads a database that the receiver wrote, and the receiver one of the original', async (context) => {
    if ('skip' in peer) return context.skip(peer.skip)
    if ('skip' in source) return context.skip(source.skip)
    const database = await startDatabase()
    const [original, ours] = [await startOriginal(database), await startOurs(database)]
    const events = Array.from({ length: 40 }, (_, i) => ({
      event_id: `shared-${String(i).padStart(2, '0')}`,
      event_type: i % 3 === 0 ? 'node_start' : 'log_info',
      log_level: (i % 5) * 10,
      event_timestamp: `2001-06-01T10:${String(i).padStart(2, '0')}:30.500000${i % 2 === 0 ? 'Z' : ''}`,
      source: i % 4 === 0 ? {} : { node_id: '01ACCEN0DE0000000000000001' },
      event_data: [{ n: i, deep: { list: [1, null, 'é'] } }, 'text', null, { big: 9007199254740 + i }][i % 4],
      trace_id: i % 7 === 0 ? 'abc' : null,
    }))
    for (const [i, event] of events.entries()) {
      const answer = await fetch(`${i < 20 ? original : ours}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(event),
      })
      expect(answer.status).toBe(200)
    }
    const archived = await fetch(`${original}events/archive`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event_ids: ['shared-03', 'shared-23'] }),
    })
    expect(await archived.json()).toMatchObject({ archived_count: 2 })
    const range = 'start_time=2001-06-01T00:00:00&end_time=2001-06-02T00:00:00'
    for (const path of [
      `events?${range}`,
      `events?${range}&number=7&offset=11&level=20`,
      `events?${range}&include_archived=true&number=0`,
      'events/archived',
      ...events.map(({ event_id }) => `event/${event_id}`),
    ]) {
      const [theirs, mine] = await Promise.all(
        [original, ours].map(async (url) => (await fetch(url + path)).text()),
      )
      // What ties an event to its commit: the original shows documents as they lie there, and its types pass it over.
      expect(mine, path).toBe(theirs!.replace(/,"_entry":"[^"]{1,20}"/g, ''))
    }
    for (const selector of [{ 'event_data.n': { $gte: 8 } }, { event_data: 'text' }, { trace_id: 'abc' }]) {
      const [theirs, mine] = await Promise.all(
        [original, ours].map(async (url) => {
          const answer = await fetch(`${url}events/query`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(selector),
          })
          const found = (await answer.json()) as { [id: string]: { _entry?: string } }
          for (const document of Object.values(found)) delete document._entry
          return Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1))
        }),
      )
      expect(theirs!.length, JSON.stringify(selector)).toBeGreaterThan(2)
      expect(mine, JSON.stringify(selector)).toEqual(theirs)
    }
  })
})
