/** Where a scan reads; travels to the thread that opens it. */
export type ScanSource =
  | { kind: 'none' }
  | { kind: 'sqlite'; path: string }
  | {
      kind: 'mongodb'
      url: string
      databaseName: string
      collectionName: string
    }

/** What a report sees of a stored event. One object is used again and again: it is valid during the call that gets it. */
export interface ScannedEvent {
  readonly id: string
  readonly type: string
  /** event_timestamp, microseconds since 1970; a time without zone counts as UTC. NaN for what is no time. */
  readonly micros: number
  /** A member of `source` that is not empty, such as `node_id`. */
  source(name: string): string | undefined
  /** The same object for events of the same source, mostly: what was found out about one need not be found out again. */
  readonly sourceKey?: object
  /** `event_data`, parsed when asked for; undefined for types that the reader did not want. */
  data(): unknown
  /**
   * A member of `event_data`, without parsing the rest of it; undefined where `data` is no object.
   */
  field(name: string): unknown
}

/** Where a reader stands; means something to the scan that gave it, in this process. */
export interface ScanPosition {
  readonly atMs: number
}

/**
 * Reads whole events off the thread of intake, for reports. Promises, each with a test of the same name:
 *  1. A read from the beginning gives every stored event once, archived ones too, also while writes go on.
 *  2. A read from a position gives only what was stored since, each event once.
 *  3. After events were deleted, or when the position is too old to go on from, a read says 'lost' and gives nothing of use.
 */
export interface EventScan {
  /**
   * Calls `take` for each event stored since the position (undefined: for all), in the order of their commit as far as the
   * store knows it, and gives the position behind them. `types` are those whose event_data is wanted.
   * Throws EVT_STORE_UNAVAILABLE; then nothing can be told of what was taken.
   */
  read(
    from: ScanPosition | undefined,
    types: ReadonlySet<string>,
    take: (event: ScannedEvent) => void,
  ): Promise<ScanPosition | 'lost'>
  close(): Promise<void>
}
