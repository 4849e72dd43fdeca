import { canaryType, isCanaryId } from './canary.ts'
import type { EventScan, ScanSource } from './event-scan.ts'

/** Opens the scan, which leaves out canaries, in the thread that calls, with what this store needs and no more. Connects with the first read. */
export function openScan(source: ScanSource): EventScan {
  const opened = load(source)
  return {
    read: async (from, types, take) =>
      (await opened).read(from, types, (event) => {
        if (event.type !== canaryType || !isCanaryId(event.id)) take(event)
      }),
    close: async () => (await opened).close(),
  }
}

async function load(source: ScanSource): Promise<EventScan> {
  switch (source.kind) {
    case 'sqlite':
      return (await import('./sqlite/scan.ts')).openSqliteScan(source.path)
    case 'mongodb':
      return (await import('./mongo/scan.ts')).openMongoScan(source)
    case 'none':
      return { read: async () => ({ atMs: Date.now() }), close: async () => {} }
  }
}
