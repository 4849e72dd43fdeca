import { expect, it } from 'vitest'
import { DocumentRun, EventDocument } from '../../../receiver/src/document/event-document.ts'
import { createIngest } from '../../../receiver/src/ingest/ingest.ts'
import { createMetric } from '../../../receiver/src/metric.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'
import { createNullStore } from '../../../receiver/src/store/null-store.ts'
import { JsonWriter } from '../../../receiver/src/store/sqlite/document-writer.ts'

/** Documents of one request; `given` counts how often their memory is given back. */
function makeRun(count: number) {
  class Writer extends JsonWriter {
    given = 0
    override giveBack(bytes: Uint8Array): void {
      this.given++
      super.giveBack(bytes)
    }
  }
  const writer = new Writer()
  const run = new DocumentRun(writer)
  run.fill(Buffer.alloc(100), count)
  const events = Array.from(
    { length: count },
    (_, i) =>
      new EventDocument(run, 0, 0, {
        event_id: `e${i}`,
        event_type: 'log_info',
        log_level: 20,
        alert: false,
        time: 0,
      }),
  )
  return { writer, run, events }
}

const open = (store: EventStore, maxBatchEvents: number) =>
  createIngest({ store, metric: createMetric(), maxInFlightBytes: 1e6, maxBatchEvents })

it.each([1, 3, 10])(
  'the memory of documents is given back once, after the last write of its events (%i each)',
  async (maxBatchEvents) => {
    const { writer, run, events } = makeRun(5)
    const ingest = open(createNullStore(), maxBatchEvents)
    expect((await ingest.accept(events)).stored).toBe(5)
    expect(writer.given).toBe(1)
    expect(run.bytes.length).toBe(0)
    await ingest.close()
  },
)

it('it is given back after a write that failed, too', async () => {
  const { writer, events } = makeRun(5)
  const failing = { ...createNullStore(), write: async () => Promise.reject(new Error('the disk is full')) }
  const ingest = open(failing, 10)
  await expect(ingest.accept(events)).rejects.toThrow('the disk is full')
  expect(writer.given).toBe(1)
  await ingest.close()
})
