import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createEventId } from '@madsci-events/sdk/event'
import { openConnection, percentile, prepareGet, prepareRequest, residentBytesOf } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'

export interface HostileOptions {
  /** Of the attack; the calm before and after are of 30 s each. */
  seconds: number
  store: 'sqlite' | 'mongodb'
  print: (line: string) => void
}

const calmMs = 30_000
const peakBytes = 2 ** 30
const intervalMs = 50
/** A request that has no answer by then counts with this latency. */
const giveUpMs = 10_000

/**
 * Ten hostile clients, each from its own address, beside an honest sender, an honest reader and a probe of /health/live.
 *
 *     calm (the figures to compare with) ▶ attack ▶ calm (memory again) ▶ every acknowledged event is asked for
 *
 * Answers true when everything held; undefined, with the reason printed, when there is no mongod.
 */
export async function runHostileSoak({
  seconds,
  store,
  print,
}: HostileOptions): Promise<boolean | undefined> {
  const source = store === 'mongodb' ? await findMongo() : undefined
  if (source !== undefined && 'skip' in source) {
    print(`hostile, ${store}: skipped: ${source.skip}`)
    return undefined
  }
  const mongod = source === undefined ? undefined : await startMongod()
  const folder = await mkdtemp(join(tmpdir(), 'madsci-hostile-'))
  const receiver = await spawnReceiver({
    cwd: folder,
    flags: {
      server_url: 'http://127.0.0.1:0/',
      grpc_port: '0',
      document_db_url: mongod?.url ?? `sqlite:${join(folder, 'events.db')}`,
      database_name: freshDatabaseName(),
      log_level: 'fatal',
      alert_channels: JSON.stringify({ chat: { kind: 'webhook', url: 'http://127.0.0.1:9/' } }),
      alert_private_hosts: '["127.0.0.1"]',
    },
  })
  try {
    return await judge(receiver, { seconds, store, print })
  } catch (error) {
    print(
      `hostile, ${store}: MISSED  ${(error as Error).message}; what the receiver said:\n${receiver.stderr}`,
    )
    return false
  } finally {
    receiver.kill('SIGTERM')
    const startedMs = performance.now()
    const kill = setTimeout(() => receiver.kill('SIGKILL'), 60_000)
    await receiver.exited
    clearTimeout(kill)
    print(`hostile, ${store}: SIGTERM to exit ${Math.round(performance.now() - startedMs)} ms`)
    await mongod?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function judge(receiver: ReceiverProcess, { seconds, store, print }: HostileOptions): Promise<boolean> {
  const httpPort = Number(new URL(receiver.url).port)
  const grpcPort = Number(new URL(receiver.grpcUrl).port)
  const acknowledged: string[] = []
  const memory: number[] = []
  const sampler = setInterval(() => memory.push(residentBytesOf(receiver.pid) ?? Number.NaN), 100)

  async function measure(durationMs: number) {
    const endMs = Date.now() + durationMs
    const run = (ask: () => { bytes: Uint8Array; done?: (status: number) => void }) =>
      series(httpPort, { endMs, ask })
    const [send, read, live] = await Promise.all([
      run(() => {
        const id = createEventId()
        const body = JSON.stringify({
          event_id: id,
          event_type: 'log_info',
          event_data: { message: 'honest', at: acknowledged.length },
        })
        return {
          bytes: prepareRequest(body, { path: '/event', contentType: 'application/json' }),
          done: (status) => void (status === 200 && acknowledged.push(id)),
        }
      }),
      // Its own events: among the newest of all are those of the attack, of megabytes each.
      run(() => ({
        bytes: prepareRequest(JSON.stringify({ _id: { $in: acknowledged.slice(-10) } }), {
          path: '/events/query',
          contentType: 'application/json',
        }),
      })),
      run(() => ({ bytes: prepareGet('/health/live') })),
    ])
    return { send, read, live }
  }

  try {
    // The first requests compile the code.
    await measure(5000)
    const idle = await measure(calmMs)
    const worker = new Worker(new URL('hostile-worker.ts', import.meta.url), {
      workerData: { httpPort, grpcPort, endMs: Date.now() + seconds * 1000 },
    })
    const attacked = new Promise<
      { name: string; steps: number; statuses: [number, number][]; through: number }[]
    >((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    // Memory after a fifth of the attack is what the end is compared with: by then each kind of request was seen.
    const warm = await measure(seconds * 200)
    const warmBytes = percentile(memory.slice(-50), 0.5)
    const busy = await measure(seconds * 800)
    const results = await attacked
    memory.push(residentBytesOf(receiver.pid) ?? Number.NaN)
    const mostBytes = Math.max(...memory)
    await measure(calmMs)
    const endBytes = percentile(memory.slice(-50), 0.5)

    let held = true
    const check = (holds: boolean, what: string) => {
      if (!holds) held = false
      print(`hostile, ${store}: ${holds ? 'holds' : 'MISSED'}  ${what}`)
    }
    for (const { name, steps, statuses, through } of results) {
      print(
        `hostile, ${store}: ${name}: ${steps} rounds, answers ${JSON.stringify(Object.fromEntries(statuses))}`,
      )
      check(through === 0, `${name}: ${through} got through`)
    }
    for (const kind of ['send', 'read', 'live'] as const) {
      const latencies = [...warm[kind].latenciesMs, ...busy[kind].latenciesMs]
      const [calmP99, p99] = [percentile(idle[kind].latenciesMs, 0.99), percentile(latencies, 0.99)]
      const bound = Math.max(5 * calmP99, 50)
      const worst = Math.max(...latencies)
      check(
        p99 <= bound,
        `p99 of ${kind}: ${p99.toFixed(1)} ms, idle ${calmP99.toFixed(1)} ms, bound ${bound.toFixed(0)} ms, worst ${worst.toFixed(0)} ms`,
      )
      const refused = warm[kind].refused + busy[kind].refused
      check(refused === 0, `${kind}: ${refused} of ${latencies.length} not answered with 200`)
    }
    check(mostBytes < peakBytes, `memory: at most ${toMiB(mostBytes)} of 1024 MiB`)
    check(
      endBytes <= warmBytes * 1.15 + 32 * 2 ** 20,
      `memory: ${toMiB(warmBytes)} MiB after a fifth, ${toMiB(endBytes)} MiB at the end`,
    )
    const lost = await findLost(receiver.url, acknowledged)
    check(
      lost.length === 0,
      `${acknowledged.length} acknowledged, ${lost.length} lost ${lost.slice(0, 5).join(' ')}`,
    )
    return held
  } finally {
    clearInterval(sampler)
  }
}

const toMiB = (bytes: number) => Math.round(bytes / 2 ** 20)

/** One request after another on one connection, which is opened again when it breaks. */
async function series(
  port: number,
  { endMs, ask }: { endMs: number; ask: () => { bytes: Uint8Array; done?: (status: number) => void } },
): Promise<{ latenciesMs: number[]; refused: number }> {
  const latenciesMs: number[] = []
  let refused = 0
  let connection = await openConnection(port)
  while (Date.now() < endMs) {
    const { bytes, done } = ask()
    const startedMs = performance.now()
    try {
      const answered = connection.send(bytes)
      const { status, closes } = await Promise.race([
        answered,
        sleep(giveUpMs).then(() => Promise.reject(new Error('no answer'))),
      ])
      if (status !== 200) refused++
      done?.(status)
      if (closes) {
        connection.close()
        connection = await openConnection(port)
      }
    } catch {
      refused++
      connection.close()
      connection = await openConnection(port)
    }
    latenciesMs.push(performance.now() - startedMs)
    await sleep(intervalMs)
  }
  connection.close()
  return { latenciesMs, refused }
}

async function findLost(url: string, ids: readonly string[]): Promise<string[]> {
  const lost: string[] = []
  for (let at = 0; at < ids.length; at += 500) {
    const asked = ids.slice(at, at + 500)
    const response = await fetch(new URL('/events/query', url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ _id: { $in: asked } }),
    })
    if (response.status !== 200) throw new Error(`the events cannot be asked for: ${response.status}`)
    const found = (await response.json()) as { [id: string]: unknown }
    lost.push(...asked.filter((id) => !(id in found)))
  }
  return lost
}
