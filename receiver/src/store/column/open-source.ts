import type { ScanSource } from '../event-scan.ts'
import type { ColumnSource } from './source.ts'

/** In the thread that calls, with what this store needs and no more. `eventsAtOnce`: of one reading. */
export async function openColumnSource(
  source: ScanSource,
  eventsAtOnce?: number,
): Promise<ColumnSource | undefined> {
  switch (source.kind) {
    case 'sqlite':
      return (await import('../sqlite/column-source.ts')).openSqliteColumnSource(source.path, eventsAtOnce)
    case 'mongodb':
      return (await import('../mongo/column-source.ts')).openMongoColumnSource(source, eventsAtOnce)
    case 'none':
      return undefined
  }
}
