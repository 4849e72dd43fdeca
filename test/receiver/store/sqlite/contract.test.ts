import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { silentLog } from '../../../../receiver/src/log.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { schemaSteps } from '../../../../receiver/src/store/sqlite/schema.ts'
import { describeEventStore } from '../../../contract/event-store.contract.ts'

describeEventStore('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-contract-'))
  const path = join(folder, 'deep', 'events.db')
  const change = (sql: string) => {
    const database = new DatabaseSync(path)
    database.exec(sql)
    database.close()
  }
  let holding: DatabaseSync | undefined
  return {
    open: () => openSqliteStore({ path, log: silentLog }),
    // Another program keeps the file to itself: SQLite's own busy timeout runs out.
    async harm() {
      holding = new DatabaseSync(path)
      holding.exec('BEGIN IMMEDIATE')
    },
    async heal() {
      holding?.close()
    },
    async makeOlder() {
      change(`DROP INDEX events_rest; ALTER TABLE events DROP COLUMN rest; DROP TABLE notes; DROP INDEX events_trouble; DROP INDEX events_archived; DROP TABLE alert_intents; DROP TABLE alert_state;
         DROP TABLE alerts; DROP TABLE alert_deliveries; PRAGMA user_version = 1`)
    },
    async makeNewer() {
      change(`PRAGMA user_version = ${schemaSteps.length + 1}`)
    },
    async makeCurrent() {
      change(`PRAGMA user_version = ${schemaSteps.length}`)
    },
    stop: () => rm(folder, { recursive: true }),
  }
})
