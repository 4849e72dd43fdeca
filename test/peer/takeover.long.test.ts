import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { startMadsci } from '../support/madsci.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { findPeer, spawnPeer } from '../support/peer.ts'
import { findFreePort, runMain, spawnReceiver } from '../support/process.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** One client, which lives through all of it and says a word in each part when it is told to; it is told by files. */
const script = `
import os, sys, time
from madsci.client.event_client import EventClient
client = EventClient(name="my_node", event_server_url=sys.argv[1])
for part in ("before", "outage", "with", "back"):
    while not os.path.exists(part): time.sleep(0.05)
    for number in range(3): client.info(f"{part} {number}", part=part)
    client.error(f"{part} went\\nwrong", part=part)
    time.sleep(1.5)
    print("SAID", part, flush=True)
seen = client.get_events(number=100, level=0).values()
print("SEEN", sorted(event.event_data["message"].split()[0] for event in seen), flush=True)
`

/** The guide receiver/docs/migrate.md, step by step. */
it('the receiver takes the place of the original under a client that goes on, brings back the outage, and goes again', async (context) => {
  const peer = findPeer('MADSCI_PEER')
  if ('skip' in peer) return context.skip(peer.skip)
  const source = await findMongo()
  if ('skip' in source) return context.skip(source.skip)
  const mongod = await startMongod()
  cleanups.push(() => mongod.stop())
  const folder = await mkdtemp(join(tmpdir(), 'madsci-takeover-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const database = freshDatabaseName()
  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}/`

  let original = await startMadsci(peer.path, mongod.url, database, { port })
  cleanups.push(() => original.stop())
  await writeFile(join(folder, 'client.py'), script)
  const client = spawnPeer(peer.path, ['python', 'client.py', url], {
    cwd: folder,
    env: { HOME: folder, TZ: 'UTC' },
  })
  cleanups.push(() => client.stop())
  const say = async (part: string) => {
    await writeFile(join(folder, part), '')
    await expect.poll(() => client.output, { timeout: 60_000 }).toContain(`SAID ${part}`)
  }
  await say('before')
  await original.stop()
  const outage = new Date().toISOString()
  await say('outage')
  const over = new Date().toISOString()

  const settings = [`--document_db_url=${mongod.url}`, `--database_name=${database}`]
  const receiver = await spawnReceiver({
    flags: { server_url: url, document_db_url: mongod.url, database_name: database },
    cwd: folder,
  })
  cleanups.push(() => receiver.kill('SIGKILL'))
  const total = async () =>
    ((await (await fetch(`${url}health`)).json()) as { total_events: number }).total_events
  expect(await total()).toBe(4)
  await say('with')
  const period = ['--text', `--start_time=${outage}`, `--end_time=${over}`]
  const bring = ['import', join(folder, '.madsci/logs/my_node.log'), ...period, ...settings, '--json']
  const brought = await runMain(bring, { cwd: folder })
  expect([brought.code, JSON.parse(brought.stdout)]).toMatchObject([0, { stored: 4, outside: 8, refused: 0 }])
  expect(JSON.parse((await runMain(bring, { cwd: folder })).stdout)).toMatchObject({
    stored: 0,
    duplicate: 4,
  })
  expect(await total()).toBe(12)
  receiver.kill('SIGTERM')
  expect(await receiver.exited).toBe(0)

  original = await startMadsci(peer.path, mongod.url, database, { port })
  await say('back')
  const parts = ['back', 'before', 'outage', 'with'].flatMap((part) => Array(4).fill(`'${part}'`))
  // It may come in pieces.
  await expect.poll(() => client.output, { timeout: 30_000 }).toContain(`SEEN [${parts.join(', ')}]`)
})
