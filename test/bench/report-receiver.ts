import { setTimeout as sleep } from 'node:timers/promises'
import { spawnReceiver } from '../support/process.ts'

/** A receiver whose thread of reports has started. */
export async function startReceiver({ url, databaseName }: { url: string; databaseName: string }) {
  const receiver = await spawnReceiver({
    flags: {
      server_url: 'http://127.0.0.1:0/',
      document_db_url: url,
      database_name: databaseName,
      log_level: 'fatal',
    },
  })
  await sleep(2000)
  return receiver
}

/** After an event was deleted, the next report reads everything. */
export async function forget(url: string): Promise<void> {
  const call = async (method: string, path: string, body?: object) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(url + path, { method, ...(body && { headers, body: JSON.stringify(body) }) })
    return (await answer.json()) as { [key: string]: unknown }
  }
  const [id] = Object.keys(await call('GET', 'events?number=1'))
  await call('POST', 'events/archive', { event_ids: [id] })
  const { deleted_count } = await call('DELETE', 'events/archived?older_than_days=0')
  if (deleted_count !== 1) throw new Error('no event was deleted')
}
