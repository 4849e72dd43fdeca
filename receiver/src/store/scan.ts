import type { EventScan, ScanSource } from './event-scan.ts'
import { openMongoScan } from './mongo/scan.ts'
import { openSqliteScan } from './sqlite/scan.ts'

/** Opens the scan in the thread that calls. Connects with the first read. */
export function openScan(source: ScanSource): EventScan {
  switch (source.kind) {
    case 'sqlite':
      return openSqliteScan(source.path)
    case 'mongodb':
      return openMongoScan(source)
    case 'none':
      return { read: async () => ({ atMs: Date.now() }), close: async () => {} }
  }
}
