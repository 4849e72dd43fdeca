import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { silentLog } from '../../../../receiver/src/log.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { describeAlertStore } from '../../../contract/alert-store.contract.ts'

describeAlertStore('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-alert-'))
  const path = join(folder, 'events.db')
  return {
    open: () => openSqliteStore({ path, log: silentLog }),
    async makeOlder() {
      const database = new DatabaseSync(path)
      database.exec(
        `DROP INDEX events_rest; ALTER TABLE events DROP COLUMN rest; DROP TABLE notes; DROP TABLE alert_intents; DROP TABLE alert_state; DROP TABLE alerts; DROP TABLE alert_deliveries;
         PRAGMA user_version = 2`,
      )
      database.close()
    },
    stop: () => rm(folder, { recursive: true }),
  }
})
