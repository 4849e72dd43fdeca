import type { EventScan, ScanSource } from './event-scan.ts'

/** Opens the scan in the thread that calls, with what this store needs and no more. Connects with the first read. */
export function openScan(source: ScanSource): EventScan {
  const opened = load(source)
  return {
    read: async (...parameters) => (await opened).read(...parameters),
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
