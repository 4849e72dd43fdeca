import type { ScanSource } from './event-scan.ts'
import type { CommitReader } from './event-store.ts'
import { openMongoCommitReader } from './mongo/commit-reader.ts'
import { openSqliteCommitReader } from './sqlite/commit-reader.ts'

export interface CommitReaderOptions {
  source: ScanSource
  /** Gives only what came by REST. */
  restOnly: boolean
}

/** Opens the reader in the thread that calls. Connects with the first read. */
export function openCommitReader({ source, restOnly }: CommitReaderOptions): CommitReader {
  switch (source.kind) {
    case 'sqlite':
      return openSqliteCommitReader(source.path, restOnly)
    case 'mongodb':
      return openMongoCommitReader(source, restOnly)
    case 'none':
      return {
        read: async (cursor) => ({ events: [], cursor, hasMore: false, expiredCommits: 0 }),
        close: async () => {},
      }
  }
}
