import type { DatabaseSync } from 'node:sqlite'
import { EventError } from '@madsci-events/sdk/event'
import { postingSql } from './posting-task.ts'

/**
 * Each step makes the next schema version (`PRAGMA user_version`) of the one before; published steps never change.
 *
 *  - `seq` is the order of commit, without gaps. It is given by hand, so that no number comes twice, not even after the
 *    newest events were deleted: who deletes notes the greatest in `tally`, and how many there were, so that a commit
 *    need not write a count.
 *  - `document` is the event as REST shows it, `exact` its exact JSON where that differs (sdk event/json.ts).
 *  - `archived_at` is milliseconds since 1970, and below all of them for "none".
 *  - `rest` is 1 for events that came by REST: whoever forwards those finds them without reading the others.
 *  - `notes`: small texts, each with the number of its writes.
 *  - `alert_*`: see ../alert-store.ts. `alert_state` has one row; its version counts the steps of the rules.
 */
export const schemaSteps: readonly string[] = [
  `CREATE TABLE events (
     seq INTEGER PRIMARY KEY,
     id TEXT NOT NULL UNIQUE,
     event_timestamp TEXT NOT NULL,
     log_level INTEGER NOT NULL,
     archived INTEGER NOT NULL,
     archived_at INTEGER NOT NULL,
     document TEXT NOT NULL,
     exact TEXT
   ) STRICT;
   CREATE TABLE tally (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
   INSERT INTO tally VALUES ('deleted_seq', 0), ('deleted_events', 0);
   CREATE INDEX events_time ON events (event_timestamp);`,
  `CREATE INDEX events_trouble ON events (event_timestamp, log_level) WHERE log_level >= 30;
   CREATE INDEX events_archived ON events (archived_at) WHERE archived = 1;`,
  `CREATE TABLE alert_intents (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, document TEXT NOT NULL) STRICT;
   CREATE TABLE alert_state (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, document TEXT NOT NULL) STRICT;
   INSERT INTO alert_state VALUES (1, 0, '');
   CREATE TABLE alerts (
     id TEXT PRIMARY KEY,
     rule TEXT NOT NULL,
     key TEXT NOT NULL,
     state TEXT NOT NULL,
     opened_ms INTEGER NOT NULL,
     updated_ms INTEGER NOT NULL,
     document TEXT NOT NULL
   ) STRICT;
   CREATE INDEX alerts_opened ON alerts (opened_ms, id);
   CREATE TABLE alert_deliveries (
     id TEXT PRIMARY KEY,
     alert_id TEXT NOT NULL,
     channel TEXT NOT NULL,
     target TEXT NOT NULL,
     created_ms INTEGER NOT NULL,
     next_ms INTEGER NOT NULL,
     notice TEXT NOT NULL,
     state TEXT NOT NULL DEFAULT 'pending',
     attempts INTEGER NOT NULL DEFAULT 0,
     error TEXT,
     settled_ms INTEGER,
     held_by TEXT,
     held_until_ms INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE INDEX alert_deliveries_due ON alert_deliveries (next_ms) WHERE state = 'pending';
   CREATE INDEX alert_deliveries_failed ON alert_deliveries (state) WHERE state <> 'delivered';
   CREATE INDEX alert_deliveries_alert ON alert_deliveries (alert_id);`,
  `ALTER TABLE events ADD COLUMN rest INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX events_rest ON events (rest) WHERE rest = 1;
   CREATE TABLE notes (name TEXT PRIMARY KEY, version INTEGER NOT NULL, text TEXT NOT NULL) STRICT;`,
]

/** The last seq that was given. */
export const lastSeqSql = `SELECT max(coalesce((SELECT max(seq) FROM events), 0), value) AS value FROM tally WHERE name = 'deleted_seq'`
export const deletedEventsSql = `SELECT value FROM tally WHERE name = 'deleted_events'`

/** 'MADS', so that a file of another program is not taken for ours. */
export const applicationId = 0x4d414453

/** Brings the file to the newest version, each step in a transaction. Throws EVT_SCHEMA_VERSION. */
export function upgradeSchema(database: DatabaseSync, path: string): void {
  const found = numberOf(database, 'application_id')
  if (found !== applicationId) {
    const { count } = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get() as {
      count: number
    }
    if (found !== 0 || count > 0)
      throw new EventError('EVT_SCHEMA_VERSION', `${path} is a database of another program`)
  }
  const version = numberOf(database, 'user_version')
  if (version > schemaSteps.length) {
    throw new EventError(
      'EVT_SCHEMA_VERSION',
      `${path} has schema ${version} of madsci-events; this release knows ${schemaSteps.length}`,
    )
  }
  for (let next = version + 1; next <= schemaSteps.length; next++) {
    database.exec(
      `BEGIN IMMEDIATE; ${schemaSteps[next - 1]}
       PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${next}; COMMIT`,
    )
  }
  database.exec(postingSql)
}

function numberOf(database: DatabaseSync, pragma: string): number {
  return Object.values(database.prepare(`PRAGMA ${pragma}`).get()!)[0] as number
}
