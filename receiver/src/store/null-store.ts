import type { EventStore } from './event-store.ts'
import { JsonWriter } from './sqlite/document-writer.ts'
import { workerUrl } from './worker-url.ts'

/** Says 'stored' and keeps nothing: it shows what the doors alone cost. */
export function createNullStore(): EventStore {
  let totalEvents = 0
  return {
    kind: 'null',
    writeConcurrency: 4,
    scanSource: { kind: 'none' },
    alerts: undefined,
    // As the default store: what a door costs is then what it costs there.
    documents: new JsonWriter(),
    encoderUrl: workerUrl('./sqlite/encode-document'),
    following: { isShared: false },
    notes: { read: async () => undefined, write: async () => true },
    async write(events) {
      totalEvents += events.length
      return events.map(() => 'stored')
    },
    get: async () => undefined,
    async *find() {},
    async *summarize() {},
    commitsSince: async (cursor) => ({ ids: [], cursor }),
    commitCursor: async () => '',
    locate: async () => new Map(),
    async *archive() {},
    async *purge() {},
    copyTo: async () => ({ files: [], events: 0 }),
    health: async () => ({ connected: true, totalEvents }),
    size: async () => 0,
    close: async () => {},
  }
}
