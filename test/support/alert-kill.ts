import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId } from '@madsci-events/sdk/event'
import { nextAcknowledgement } from './kill-cycle.ts'
import { freshDatabaseName, startMongod } from './mongod.ts'
import { findFreePort, type ReceiverProcess, restartReceiver } from './process.ts'

export interface AlertKillOptions {
  store: 'sqlite' | 'mongodb'
  cycles: number
  onCycle?: (cycle: number, told: number) => void
}

export interface AlertKillReport {
  cycles: number
  acknowledged: number
  /** Messages that the sink got. */
  messages: number
  /** Acknowledged, and nobody was told. */
  untold: string[]
  /** Told twice as two messages, or a message that came again without a kill between acceptance and note. */
  doubled: string[]
  /** The same message again, because a kill fell between acceptance and note. */
  repeats: number
  /** Told of what no client sent. */
  foreign: string[]
}

/** While something was down. */
interface Kill {
  fromMs: number
  toMs: number
}

interface Taken {
  delivery: string
  ids: string[]
  atMs: number
}

// How long an accepted message may take to be noted.
const noteMs = 1000
// Without a message for so long, none comes any more: three times the lease.
const patienceMs = 60_000

/**
 * Clients send events that each raise an alert, many twice and to both receivers, while receivers (one on SQLite, two on
 * MongoDB, and now and then mongod) are killed at random moments between commit, send and note. A webhook, which takes its time, counts.
 */
export async function runAlertKills(options: AlertKillOptions): Promise<AlertKillReport> {
  const { cycles } = options
  const folder = await mkdtemp(join(tmpdir(), 'madsci-alert-kill-'))
  const mongod = options.store === 'mongodb' ? await startMongod() : undefined
  const taken: Taken[] = []
  const kills: Kill[] = []
  const sink = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', async () => {
      const { event_ids: ids } = JSON.parse(Buffer.concat(chunks).toString()) as { event_ids: string[] }
      await sleep(Math.random() * 40)
      // From here on the sink has accepted it.
      taken.push({ delivery: String(request.headers['x-madsci-delivery']), ids, atMs: performance.now() })
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(sink, 'listening')
  const { port } = sink.address() as { port: number }

  const databaseName = freshDatabaseName()
  const ports = await Promise.all(Array.from({ length: mongod ? 2 : 1 }, findFreePort))
  const start = (place: number) =>
    restartReceiver({
      flags: {
        server_url: `http://127.0.0.1:${ports[place]}/`,
        otlp_port: 'none',
        grpc_port: 'none',
        document_db_url: mongod ? mongod.url : `sqlite:${join(folder, 'events.db')}`,
        database_name: databaseName,
        log_level: 'error',
        enable_registry_resolution: 'false',
        alert_private_hosts: '["127.0.0.1"]',
        alert_channels: JSON.stringify({ hook: { kind: 'webhook', url: `http://127.0.0.1:${port}/` } }),
        alert_rules: JSON.stringify([
          // Every event is an alert of its own.
          { name: 'alert_level', group_by: ['event_data.n'], cooldown_seconds: 0, resolve_after_seconds: 1 },
        ]),
      },
    })
  const receivers: ReceiverProcess[] = await Promise.all(ports.map((_, place) => start(place)))
  const acknowledged = new Set<string>()
  const sent = new Set<string>()
  let isSending = true

  async function postUntilTaken(id: string, place: number): Promise<void> {
    const body = JSON.stringify({
      event_id: id,
      event_type: 'log_error',
      log_level: 40,
      event_data: { n: id },
    })
    const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
    for (;;) {
      try {
        const answer = await fetch(`http://127.0.0.1:${ports[place % ports.length]}/event`, init)
        await answer.arrayBuffer()
        if (answer.status === 200) break
      } catch {
        // It was killed; it comes back.
      }
      await sleep(30 + Math.random() * 60)
    }
    acknowledged.add(id)
  }

  async function runClient(seed: number): Promise<void> {
    for (let n = seed; isSending; n++) {
      const id = createEventId()
      sent.add(id)
      const isTwice = n % 3 === 0
      await Promise.all([postUntilTaken(id, n), ...(isTwice ? [postUntilTaken(id, n + 1)] : [])])
      await sleep(Math.random() * 20)
    }
  }

  const clients = [0, 1, 2].map(runClient)
  try {
    for (let cycle = 1; cycle <= cycles; cycle++) {
      await sleep(50 + Math.random() * 350)
      const kill: Kill = { fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY }
      kills.push(kill)
      if (mongod?.pid !== undefined && cycle % 4 === 0) {
        await mongod.kill()
        await mongod.restart()
      } else {
        const place = cycle % receivers.length
        receivers[place]!.kill('SIGKILL')
        await receivers[place]!.exited
        kill.toMs = performance.now()
        receivers[place] = await start(place)
      }
      kill.toMs = Math.min(kill.toMs, performance.now())
      // On a busy machine a receiver would else die again before it has done anything; one in five may.
      if (cycle % 5 !== 0) await nextAcknowledgement(acknowledged)
      options.onCycle?.(cycle, taken.length)
    }
    isSending = false
    await Promise.all(clients)
    // What a killed receiver held comes back after its lease; many messages take their time, and lose none of it.
    const told = () => new Set(taken.flatMap(({ ids }) => ids))
    for (let last = -1, untilMs = 0; told().size < acknowledged.size; await sleep(200)) {
      if (taken.length > last) untilMs = performance.now() + patienceMs
      else if (performance.now() > untilMs) break
      last = taken.length
    }
    // What would come twice, comes within a lease.
    await sleep(mongod ? 22_000 : 1000)
    return { cycles, acknowledged: acknowledged.size, ...judge({ taken, kills, acknowledged, sent }) }
  } finally {
    isSending = false
    for (const receiver of receivers) receiver.kill('SIGKILL')
    await Promise.all(receivers.map(({ exited }) => exited))
    sink.closeAllConnections()
    sink.close()
    await mongod?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

interface Evidence {
  taken: readonly Taken[]
  kills: readonly Kill[]
  acknowledged: ReadonlySet<string>
  sent: ReadonlySet<string>
}

function judge({
  taken,
  kills,
  acknowledged,
  sent,
}: Evidence): Omit<AlertKillReport, 'cycles' | 'acknowledged'> {
  const byEvent = new Map<string, Taken[]>()
  for (const one of taken) for (const id of one.ids) byEvent.set(id, [...(byEvent.get(id) ?? []), one])
  const doubled: string[] = []
  let repeats = 0
  for (const [id, messages] of byEvent) {
    for (const [place, later] of messages.entries()) {
      if (place === 0) continue
      const before = messages[place - 1]!
      const fellBetween = kills.some(
        ({ fromMs, toMs }) => fromMs < before.atMs + noteMs && toMs > before.atMs - 100,
      )
      if (later.delivery === before.delivery && fellBetween) repeats++
      else doubled.push(`${id}: ${before.delivery} and ${later.delivery}`)
    }
  }
  return {
    messages: taken.length,
    untold: [...acknowledged].filter((id) => !byEvent.has(id)),
    doubled,
    repeats,
    foreign: [...byEvent.keys()].filter((id) => !sent.has(id)),
  }
}
