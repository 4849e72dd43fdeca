import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import type { Batch } from '../../../receiver/src/fanout/batch.ts'
import { createCheckpoint } from '../../../receiver/src/fanout/checkpoint.ts'
import { type Forwarder, startForwarder } from '../../../receiver/src/fanout/forwarder.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { createMetric } from '../../../receiver/src/metric.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { startOtlpEndpoint } from '../../support/otlp-endpoint.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

it('the cursor behind a delivered batch is saved before the next one is sent', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-forwarder-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const store = await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog })
  cleanups.push(() => store.close())
  const endpoint = await startOtlpEndpoint()
  cleanups.push(() => endpoint.close())
  const checkpoint = createCheckpoint({
    name: 'grafana',
    notes: store.notes,
    holder: 'this',
    isShared: false,
    leaseMs: 60_000,
    begin: async () => '0',
    onDamage: () => {},
  })
  const batches = 4
  const savedAtRequest: (string | undefined)[] = []
  let forwarder: Forwarder | undefined
  const isDone = new Promise<void>((resolve) => {
    const make = async (_index: number, cursor: string): Promise<Batch> => {
      const number = Number(cursor)
      const note = await store.notes.read('fanout:grafana')
      savedAtRequest.push(note && (JSON.parse(note.text) as { cursor: string }).cursor)
      if (number >= batches) resolve()
      return {
        body: new Uint8Array(),
        eventCount: number < batches ? 1 : 0,
        firstId: String(number),
        readCount: 1,
        cursor: String(Math.min(number + 1, batches)),
        hasMore: number + 1 < batches,
        expiredCommits: 0,
        canaries: [],
        spans: [],
      }
    }
    forwarder = startForwarder({
      destination: {
        name: 'grafana',
        url: `${endpoint.url}/v1/logs`,
        headers: {},
        protocol: 'http/protobuf',
        compression: 'none',
        include: 'all',
        from: 'beginning',
        selector: undefined,
        batchEvents: 10,
        timeoutMs: 5000,
      },
      index: 0,
      thread: { make, close: async () => {} },
      checkpoint,
      begin: async () => '0',
      leaseMs: 60_000,
      metric: createMetric(),
      log: silentLog,
    })
    cleanups.push(() => forwarder!.close())
  })
  await isDone
  expect(endpoint.requests.length).toBe(batches)
  expect(savedAtRequest.slice(0, batches + 1)).toEqual(['0', '1', '2', '3', '4'])
})
