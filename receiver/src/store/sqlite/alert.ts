import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import {
  type AlertRecord,
  type AlertStore,
  type Delivery,
  type DeliveryCounts,
  type Intent,
  parseAlertCursor,
} from '../alert-store.ts'
import { type AlertTask, deliveryColumns, dueValues, isDue } from './alert-task.ts'
import { toStoreError } from './connection.ts'

const alertColumns = 'id, rule, key, state, opened_ms AS openedMs, updated_ms AS updatedMs, document AS json'

/** Alerts beside the events of one file. Its owner is the only receiver, so it always leads. */
export function createAlertStore(
  reading: DatabaseSync,
  run: (task: AlertTask) => Promise<unknown>,
): AlertStore {
  async function all<Row>(sql: string, ...values: SQLInputValue[]): Promise<Row[]> {
    try {
      return reading.prepare(sql).all(...values) as unknown as Row[]
    } catch (cause) {
      throw toStoreError(cause)
    }
  }

  return {
    lead: async () => true,
    async load() {
      const [row] = await all<{ version: number; state: string }>(
        'SELECT version, document AS state FROM alert_state',
      )
      return { version: row?.version ?? 0, state: row?.state || undefined }
    },
    async intents(limit) {
      const rows = await all<{ seq: number; atMs: number; document: string }>(
        'SELECT seq, at_ms AS atMs, document FROM alert_intents ORDER BY seq LIMIT ?',
        limit,
      )
      return rows.map(
        ({ seq, atMs, document }): Intent => ({ id: String(seq), atMs, ...JSON.parse(document) }),
      )
    },
    commit: async (step) => (await run({ kind: 'commit', step })) as boolean,
    async act(action) {
      await run({ kind: 'act', atMs: Date.now(), action })
    },
    async get(id) {
      const [row] = await all<AlertRecord>(`SELECT ${alertColumns} FROM alerts WHERE id = ?`, id)
      return row
    },
    find({ state, rule, key, after, limit }) {
      const conditions = ['1']
      const values: SQLInputValue[] = []
      for (const [name, value] of Object.entries({ state, rule, key })) {
        if (value === undefined) continue
        conditions.push(`${name} = ?`)
        values.push(value)
      }
      const cursor = after === undefined ? undefined : parseAlertCursor(after)
      if (cursor) {
        conditions.push('(opened_ms, id) < (?, ?)')
        values.push(cursor.openedMs, cursor.id)
      }
      return all(
        `SELECT ${alertColumns} FROM alerts WHERE ${conditions.join(' AND ')}
         ORDER BY opened_ms DESC, id DESC LIMIT ?`,
        ...values,
        limit,
      )
    },
    deliveriesOf: (alertIds) =>
      all<Delivery>(
        `SELECT ${deliveryColumns} FROM alert_deliveries
         WHERE alert_id IN (SELECT value FROM json_each(?)) ORDER BY created_ms, id`,
        JSON.stringify(alertIds),
      ),
    async counts() {
      const [row] = await all<DeliveryCounts>(
        `SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
           count(*) FILTER (WHERE state = 'pending' AND error IS NOT NULL) AS retrying,
           count(*) FILTER (WHERE state = 'failed') AS failed
         FROM alert_deliveries WHERE state <> 'delivered'`,
      )
      return { ...row! }
    },
    async claim(holder, leaseMs, limit, busy = []) {
      const nowMs = Date.now()
      const rows = await all(
        `SELECT 1 FROM alert_deliveries WHERE state = 'pending' AND ${isDue}
           AND channel NOT IN (SELECT value FROM json_each(?)) LIMIT 1`,
        ...dueValues(nowMs),
        JSON.stringify(busy),
      )
      if (rows.length === 0) return []
      return (await run({
        kind: 'claim',
        holder,
        nowMs,
        untilMs: nowMs + leaseMs,
        limit,
        busy,
      })) as Delivery[]
    },
    async renew(holder, ids, leaseMs) {
      await run({ kind: 'renew', holder, ids, untilMs: Date.now() + leaseMs })
    },
    settle: async (holder, id, outcome) =>
      (await run({ kind: 'settle', holder, id, nowMs: Date.now(), outcome })) as boolean,
    forget: async (beforeMs) => (await run({ kind: 'forget', beforeMs })) as number,
  }
}
