import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  type AlertAction,
  type AlertStep,
  clockSlackMs,
  type Delivery,
  type DeliveryOutcome,
  type Fact,
  furthestRetryMs,
  longestLeaseMs,
} from '../alert-store.ts'

/** One commit of the thread that writes, for alerts. */
export type AlertTask =
  | { kind: 'act'; atMs: number; action: AlertAction }
  | { kind: 'commit'; step: AlertStep }
  | { kind: 'claim'; holder: string; nowMs: number; untilMs: number; limit: number; busy: readonly string[] }
  | { kind: 'renew'; holder: string; ids: readonly string[]; untilMs: number }
  | { kind: 'settle'; holder: string; id: string; nowMs: number; outcome: DeliveryOutcome }
  | { kind: 'forget'; beforeMs: number }
  | { kind: 'release' }

/** Of a pending delivery, with `dueValues`. */
export const isDue = `(next_ms <= ? OR (attempts > 0 AND next_ms > ?) OR (attempts = 0 AND created_ms > ?))
  AND (held_until_ms <= ? OR held_until_ms > ?)`
export const dueValues = (nowMs: number) => [
  nowMs,
  nowMs + furthestRetryMs,
  nowMs + clockSlackMs,
  nowMs,
  nowMs + longestLeaseMs,
]

/** The columns of a delivery, as a Delivery names them. */
export const deliveryColumns = `id, alert_id AS alertId, channel, target, created_ms AS createdMs, next_ms AS nextMs,
  notice, state, attempts, error, settled_ms AS settledMs`

/** Within the transaction of the events. */
export function addIntent(database: DatabaseSync, atMs: number, facts: readonly Fact[]): void {
  insertIntent(database, atMs, { facts })
}

const insertions = new WeakMap<DatabaseSync, StatementSync>()

function insertIntent(database: DatabaseSync, atMs: number, document: object): void {
  let insertion = insertions.get(database)
  if (!insertion) {
    insertion = database.prepare('INSERT INTO alert_intents (at_ms, document) VALUES (?, ?)')
    insertions.set(database, insertion)
  }
  insertion.run(atMs, JSON.stringify(document))
}

/** Within a transaction of the caller. */
export function runAlertTask(database: DatabaseSync, task: AlertTask): unknown {
  switch (task.kind) {
    case 'act':
      return insertIntent(database, task.atMs, { facts: [], action: task.action })
    case 'commit':
      return commit(database, task.step)
    case 'claim':
      return claim(database, task)
    case 'renew': {
      const renew = database.prepare(
        'UPDATE alert_deliveries SET held_until_ms = ? WHERE id = ? AND held_by = ?',
      )
      for (const id of task.ids) renew.run(task.untilMs, id, task.holder)
      return undefined
    }
    case 'settle':
      return settle(database, task)
    case 'forget':
      return forget(database, task.beforeMs)
    // One process owns the file: whoever held something has died.
    case 'release':
      return database.exec(
        'UPDATE alert_deliveries SET held_by = NULL, held_until_ms = 0 WHERE held_until_ms > 0',
      )
  }
}

function commit(database: DatabaseSync, step: AlertStep): boolean {
  const { changes } = database
    .prepare('UPDATE alert_state SET version = version + 1, document = ? WHERE version = ?')
    .run(step.state, step.version)
  if (changes === 0) return false
  const fold = database.prepare('DELETE FROM alert_intents WHERE seq = ?')
  for (const id of step.folded) fold.run(Number(id))
  const put = database.prepare(
    `INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
       state = excluded.state, updated_ms = excluded.updated_ms, document = excluded.document`,
  )
  for (const { id, rule, key, state, openedMs, updatedMs, json } of step.alerts)
    put.run(id, rule, key, state, openedMs, updatedMs, json)
  const add = database.prepare(
    `INSERT INTO alert_deliveries (id, alert_id, channel, target, created_ms, next_ms, notice)
     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
  )
  for (const { id, alertId, channel, target, createdMs, nextMs, notice } of step.deliveries)
    add.run(id, alertId, channel, target, createdMs, nextMs, notice)
  return true
}

function claim(database: DatabaseSync, task: Extract<AlertTask, { kind: 'claim' }>): Delivery[] {
  return database
    .prepare(
      `UPDATE alert_deliveries SET held_by = ?, held_until_ms = ?, attempts = attempts + 1
       WHERE id IN (SELECT id FROM alert_deliveries
                    WHERE state = 'pending' AND ${isDue}
                      AND channel NOT IN (SELECT value FROM json_each(?)) ORDER BY next_ms LIMIT ?)
       RETURNING ${deliveryColumns}`,
    )
    .all(
      task.holder,
      task.untilMs,
      ...dueValues(task.nowMs),
      JSON.stringify(task.busy),
      task.limit,
    ) as unknown as Delivery[]
}

function settle(database: DatabaseSync, task: Extract<AlertTask, { kind: 'settle' }>): boolean {
  const { outcome, nowMs, id, holder } = task
  const isPending = outcome.state === 'pending'
  const { changes } = database
    .prepare(
      `UPDATE alert_deliveries SET state = ?, error = ?, settled_ms = ?, next_ms = coalesce(?, next_ms),
         held_by = NULL, held_until_ms = 0
       WHERE id = ? AND held_by = ? AND state = 'pending'`,
    )
    .run(
      outcome.state,
      'error' in outcome ? outcome.error : null,
      isPending ? null : nowMs,
      isPending ? outcome.nextMs : null,
      id,
      holder,
    )
  return changes === 1
}

function forget(database: DatabaseSync, beforeMs: number): number {
  const pending = `SELECT alert_id FROM alert_deliveries WHERE state = 'pending'`
  const { changes } = database
    .prepare(`DELETE FROM alerts WHERE state = 'resolved' AND updated_ms < ? AND id NOT IN (${pending})`)
    .run(beforeMs)
  database
    .prepare(
      `DELETE FROM alert_deliveries WHERE state <> 'pending' AND settled_ms < ?
         AND alert_id NOT IN (SELECT id FROM alerts)`,
    )
    .run(beforeMs)
  return Number(changes)
}
