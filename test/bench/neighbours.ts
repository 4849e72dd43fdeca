// How long do small requests take while two large ones are under way?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId } from '@madsci-events/sdk/event'
import {
  openConnection,
  type PreparedRequest,
  percentile,
  prepareGet,
  prepareRequest,
  sendAll,
} from '../support/load.ts'
import { encodeLogs } from '../support/otlp.ts'
import { spawnReceiver } from '../support/process.ts'
import { prepareStore } from '../support/store-flag.ts'
import { makeEvents } from '../support/workload.ts'
import { type Bench, createReport } from './figure.ts'

const pauseMs = 20
const largest = { 'POST /event': 500, 'GET /health/live': 100 }

/** As far as 64 MiB hold so many: the fields of a log line. */
function makeLines(count: number) {
  return makeEvents(count).map((event, number) => ({
    ...event,
    event_data: { message: 'Transferred 20 ul from A1 to B2', number },
  }))
}

const small: { [what in keyof typeof largest]: () => PreparedRequest } = {
  'POST /event': () =>
    prepareRequest(
      JSON.stringify({ event_id: createEventId(), event_type: 'log_info', event_data: { message: 'alone' } }),
      { path: '/event', contentType: 'application/json' },
    ),
  'GET /health/live': () => prepareGet('/health/live'),
}

export const neighboursBench: Bench = {
  question: 'Small requests, one at a time, beside two OTLP requests of 100,000 events, and alone',
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    for (const name of ['sqlite', 'mongodb'] as const) {
      const store = await prepareStore(name)
      if ('skip' in store) {
        report.skipped.push(store.skip)
        continue
      }
      const receiver = await spawnReceiver({
        cwd: folder,
        flags: { server_url: 'http://127.0.0.1:0/', log_level: 'fatal', ...store.flags },
      })
      const port = Number(new URL(receiver.url).port)

      /** Latencies of small requests until that has ended, and of at least some. */
      async function measure(what: keyof typeof small, work: Promise<unknown>): Promise<number[]> {
        let isOver = false
        work.then(
          () => {
            isOver = true
          },
          () => {
            isOver = true
          },
        )
        const connection = await openConnection(port)
        const latencies: number[] = []
        while (!isOver || latencies.length < 10) {
          const request = small[what]()
          const startedMs = performance.now()
          const { status } = await connection.send(request)
          latencies.push(performance.now() - startedMs)
          if (status !== 200) throw new Error(`${what}: ${status}`)
          await sleep(pauseMs)
        }
        connection.close()
        return latencies
      }

      /** Two large requests at once, each of new events; small ones beside them. */
      async function beside(): Promise<{ [what: string]: number[] }> {
        const bodies = [0, 1].map(() => encodeLogs(makeLines(Math.round(100_000 * scale))))
        const large = sendAll({
          port,
          requests: bodies.map((bytes) =>
            prepareRequest(bytes, { path: '/v1/logs', contentType: 'application/x-protobuf' }),
          ),
          connections: 2,
        })
        const lists = Object.keys(small).map(async (what) => [
          what,
          await measure(what as keyof typeof small, large),
        ])
        const [{ elapsedMs, statuses }, entries] = await Promise.all([large, Promise.all(lists)])
        if (statuses.get(200) !== 2) throw new Error(`large: ${JSON.stringify([...statuses])}`)
        report.note(`${name}: both large requests`, elapsedMs, 'ms')
        return Object.fromEntries(entries)
      }

      try {
        await beside()
        report.figures.pop()
        const latencies = await beside()
        for (const [what, limit] of Object.entries(largest)) {
          const alone = await measure(what as keyof typeof small, sleep(scale < 0.1 ? 0 : 2000))
          const list = latencies[what]!
          report.note(`${name}: ${what} alone, median`, percentile(alone, 0.5), 'ms')
          report.note(`${name}: ${what} beside them, median of ${list.length}`, percentile(list, 0.5), 'ms')
          report.note(`${name}: ${what} beside them, longest`, Math.max(...list), 'ms')
          report.judge({
            what: `${name}: longest ${what} / ${limit} ms`,
            ratio: Math.max(...list) / limit,
            kind: 'most',
            bound: 1,
          })
        }
      } finally {
        receiver.kill('SIGTERM')
        await receiver.exited
        await store.stop()
      }
    }
    await rm(folder, { recursive: true, force: true })
    return report
  },
}
