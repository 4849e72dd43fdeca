import { setTimeout as sleep } from 'node:timers/promises'
import type { PostedEvent } from './lab-day.ts'
import { spawnPeer } from './peer.ts'
import { findFreePort } from './process.ts'

/** MADSci's own event manager. */
export interface Madsci {
  readonly url: string
  post(events: readonly PostedEvent[]): Promise<void>
  /** The answer to GET /utilization/<path>, as text. */
  report(path: string): Promise<string>
  stop(): Promise<void>
}

/** Starts the original, on a free port if none is given, with the zone UTC, as its reports need it; settles when it answers. */
export async function startMadsci(
  path: string,
  mongoUrl: string,
  databaseName: string,
  { TZ = 'UTC', port: given }: { TZ?: string; port?: number } = {},
): Promise<Madsci> {
  const port = given ?? (await findFreePort())
  const peer = spawnPeer(path, ['serve', String(port), mongoUrl, databaseName], { env: { TZ } })
  const url = `http://127.0.0.1:${port}/`
  const deadline = Date.now() + 120_000
  for (;;) {
    const isUp = await fetch(`${url}health`).then(
      (response) => response.ok,
      () => false,
    )
    if (isUp) break
    if (Date.now() > deadline) {
      await peer.stop()
      throw new Error(`the original does not start:\n${peer.output.slice(-3000)}`)
    }
    await sleep(200)
  }
  return {
    url,
    async post(events) {
      for (const event of events) {
        const response = await fetch(`${url}event`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(event),
        })
        if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
        await response.arrayBuffer()
      }
    },
    async report(path) {
      const response = await fetch(`${url}utilization/${path}`)
      return response.text()
    },
    stop: () => peer.stop(),
  }
}
