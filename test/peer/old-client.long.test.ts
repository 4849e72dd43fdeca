import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { findPeer, spawnPeer } from '../support/peer.ts'
import { findOldClient } from '../support/python.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Sends what it is told, then reads in every way that the client has; both releases read the same program. */
const script = `
import json, sys, time
from madsci.client.event_client import EventClient
from madsci.common.types.event_types import Event, EventType
url, send = sys.argv[1:3]
client = EventClient(event_server_url=url)
if send == "send":
    for event_type in (EventType.EXPERIMENT_START, EventType.EXPERIMENT_CANCELLED):
        client.log(Event(event_type=event_type, event_data={"experiment_id": "01ACCEXP000000000000000001"}))
        time.sleep(0.05)
deadline = time.time() + 20
while time.time() < deadline:
    events = client.get_events(number=50, level=0)
    if len(events) == 2: break
    time.sleep(0.1)
event_id = next(iter(events))
seen = [event.event_type.name for event in events.values()][:1]
seen.append(client.get_event(event_id).event_type.name)
# requests, on which the older one stands, sends the keys of a selector alone.
if send == "query":
    for selector in ({"_id": event_id}, {"event_type": EventType.EXPERIMENT_CANCELLED.value}):
        seen += [event.event_type.name for event in client.query_events(selector).values()]
print("RESULT " + json.dumps(seen))
`

describe('the Python client of 0.6 beside that of 0.8', () => {
  for (const backend of ['sqlite', 'mongodb'] as const) {
    it(`each reads on ${backend} the cancelled experiment of the older by its own name`, async (context) => {
      const old = findOldClient('0.6.1')
      if ('skip' in old) return context.skip(old.skip)
      const peer = findPeer('MADSCI_PEER')
      if ('skip' in peer) return context.skip(peer.skip)
      const store = await prepareStore(backend)
      if ('skip' in store) return context.skip(store.skip)
      cleanups.push(store.stop)
      const receiver = await startTestReceiver({ flags: store.flags })
      cleanups.push(() => receiver.close())
      const file = join(receiver.folder, 'client.py')
      await writeFile(file, script)
      for (const [path, args] of [
        [old.python, [file, receiver.url, 'send']],
        [peer.path, ['python', file, receiver.url, 'query']],
        [old.python, [file, receiver.url, 'read']],
      ] as const) {
        const client = spawnPeer(path, [...args], { cwd: receiver.folder, env: { HOME: receiver.folder } })
        cleanups.push(() => client.stop())
        await client.exited
        expect(client.output).toMatch(/RESULT \["EXPERIMENT_CANCELLED"(, "EXPERIMENT_CANCELLED")+\]/)
      }
      const timeline = await (await fetch(`${receiver.url}utilization/timeline?kind=experiment`)).json()
      expect(timeline).toMatchObject({ entities: [{ kind: 'experiment', outcome: 'cancelled' }] })
    })
  }
})
