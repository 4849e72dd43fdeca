import type { Finding } from '../finding.ts'

/** What GET /data/ops tells a page. */
export interface OpsAnswer {
  store: {
    kind: 'sqlite' | 'mongodb' | 'null'
    /** On disk, with indexes and log; null while it cannot be told. */
    bytes: number | null
    /** Archived ones too; null while it cannot be told. */
    total_events: number | null
  }
  /** What doctor says that can be told beside a running receiver. */
  findings: Finding[]
}
