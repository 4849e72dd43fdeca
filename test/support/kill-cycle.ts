import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BehindVerdict, type Down, judgeBehind } from './kill-verdict.ts'
import { freshDatabaseName, type Mongod, startMongod } from './mongod.ts'
import { judge, type Oracle, startOracle, type Verdict } from './oracle.ts'
import { findFreePorts, type ReceiverProcess, restartReceiver } from './process.ts'
import { startTail, type Tail } from './tail.ts'
import { startToldSink } from './told-sink.ts'

export interface KillCycleOptions {
  store: 'sqlite' | 'mongodb'
  cycles: number
  /** Called after each cycle. */
  onCycle?: (cycle: number, oracle: Oracle) => void
}

export interface KillReport extends Verdict {
  cycles: number
  /** How often what was killed, ended by SIGTERM, or stopped for longer than its lease. */
  done: { killed: number; ended: number; stopped: number; mongod: number }
  acknowledged: number
  alerting: number
  repeatCount: number
  retryCount: number
  surprises: string[]
  /** Lines that the receivers wrote about a gap of the fan-out: there is none. */
  gaps: string[]
  behind: BehindVerdict
  /** Connections of the tails. */
  connections: number
  batches: number
  messages: number
  /** health.total_events at the end. */
  totalEvents: number | null
  seconds: number
}

const leaseMs = 4000
const dayMs = 86_400_000

/** What one cycle does. */
type Action = 'kill' | 'end' | 'stop' | 'mongod' | 'both'

const actions: { [store in KillCycleOptions['store']]: readonly Action[] } = {
  sqlite: ['kill', 'kill', 'kill', 'kill', 'end'],
  mongodb: ['kill', 'kill', 'mongod', 'kill', 'both', 'mongod', 'kill', 'kill', 'end', 'stop'],
}

/**
 * Clients send without pause, some events twice or again later, each try to any of the receivers: one on SQLite, two on MongoDB.
 * Tails follow them, a destination and a webhook take what they forward and tell. The clock of each is wrong by days, and
 * is set now and then. Receivers and mongod are killed, ended and stopped at random moments and started again on the same
 * files and ports. Then everything that came is compared with what is stored, and that with what was acknowledged.
 */
export async function runKillCycles(options: KillCycleOptions): Promise<KillReport> {
  const startedMs = performance.now()
  const { store, cycles } = options
  const folder = await mkdtemp(join(tmpdir(), 'madsci-kill-'))
  const mongod: Mongod | undefined = store === 'mongodb' ? await startMongod() : undefined
  const sink = await startToldSink()
  const ports = await findFreePorts(mongod ? 2 : 1)
  const databaseName = freshDatabaseName()
  const downs: Down[] = []
  const done = { killed: 0, ended: 0, stopped: 0, mongod: 0 }
  const clockFile = (place: number) => join(folder, `clock-${place}`)
  const setClock = (place: number) =>
    writeFile(clockFile(place), String(Math.round((Math.random() - 0.5) * 20 * dayMs)))

  async function start(place: number): Promise<ReceiverProcess> {
    await setClock(place)
    return restartReceiver({
      leaseMs,
      nodeFlags: ['--import', join(import.meta.dirname, 'clock-preload.ts')],
      env: { CLOCK_FILE: clockFile(place) },
      flags: {
        server_url: `http://127.0.0.1:${ports[place]}/`,
        otlp_port: 'none',
        document_db_url: mongod ? mongod.url : `sqlite:${join(folder, 'events.db')}`,
        database_name: databaseName,
        log_level: 'error',
        rate_limit_enabled: 'false',
        enable_registry_resolution: 'false',
        fanout: JSON.stringify([
          { name: 'one', url: sink.logsUrl(place), include: 'all', batch_events: 100 },
        ]),
        alert_private_hosts: '["127.0.0.1"]',
        alert_channels: JSON.stringify({ hook: { kind: 'webhook', url: sink.hookUrl(place) } }),
        // Every event is an alert of its own.
        alert_rules: JSON.stringify([
          {
            name: 'alert_level',
            group_by: ['event_data.number'],
            cooldown_seconds: 0,
            resolve_after_seconds: 1,
          },
        ]),
      },
    })
  }

  const receivers: ReceiverProcess[] = []
  const gone: ReceiverProcess[] = []
  for (const place of ports.keys()) receivers.push(await start(place))
  let oracle: Oracle | undefined
  const tails: Tail[] = []
  const anyUrl = () => receivers[Math.floor(Math.random() * receivers.length)]!.url

  async function during(down: Omit<Down, 'fromMs' | 'toMs'>, work: () => Promise<void>): Promise<void> {
    const one = { ...down, fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY }
    downs.push(one)
    await work()
    one.toMs = performance.now()
  }

  const kill = (place: number, signal: 'SIGKILL' | 'SIGTERM') => async () => {
    receivers[place]!.kill(signal)
    await receivers[place]!.exited
  }

  async function act(action: Action, place: number): Promise<void> {
    const killing: Promise<void>[] = []
    if (action === 'stop') {
      done.stopped++
      await during({ what: 'stopped', place }, async () => {
        receivers[place]!.kill('SIGSTOP')
        await sleep(leaseMs * (1.2 + Math.random() / 2))
        receivers[place]!.kill('SIGCONT')
      })
    }
    if (action === 'mongod' || action === 'both') {
      done.mongod++
      killing.push(
        during({ what: 'mongod', place: -1 }, async () => {
          await mongod!.kill()
          await mongod!.restart()
        }),
      )
    }
    if (action === 'kill' || action === 'both') {
      done.killed++
      killing.push(during({ what: 'killed', place }, kill(place, 'SIGKILL')))
    }
    if (action === 'end') {
      done.ended++
      await kill(place, 'SIGTERM')()
    }
    await Promise.all(killing)
    if (action === 'kill' || action === 'both' || action === 'end') {
      gone.push(receivers[place]!)
      receivers[place] = await start(place)
    }
  }

  try {
    let sent: Oracle['sent'] = new Map()
    const lookUp = (id: string) => sent.get(id)
    for (let i = 0; i < 2; i++) tails.push(await startTail({ url: anyUrl, sent: lookUp }))
    oracle = startOracle({
      url: anyUrl,
      singleClients: 4,
      batchClients: 2,
      batchEvents: 25,
      alertEvery: 40,
      repeatsOfTen: 3,
      pauseMs: 20,
    })
    sent = oracle.sent
    for (let cycle = 1; cycle <= cycles; cycle++) {
      await sleep(30 + Math.random() * 400)
      // Four times running the same one, so that the other has time to take over its leases; then that one.
      const place = Math.floor(cycle / 4) % receivers.length
      const list = actions[store]
      await act(list[(cycle - 1) % list.length]!, place)
      if (cycle % 2 === 0) await setClock(cycle % receivers.length)
      await nextAcknowledgement(oracle.acknowledged)
      options.onCycle?.(cycle, oracle)
    }
    await oracle.stop()
    const verdict = await judge(receivers[0]!.url, oracle)
    const isTold = () => {
      const forwarded = new Set(sink.batches.flatMap(({ ids }) => ids))
      const told = new Set(sink.messages.flatMap(({ ids }) => ids))
      return (
        tails.every(({ ids }) => ids.length >= verdict.stored) &&
        forwarded.size >= verdict.stored &&
        [...oracle!.alerting].every((id) => told.has(id) || !verdict.ids.has(id))
      )
    }
    await within(isTold, 90_000)
    // What would come twice, comes within a lease.
    await sleep(mongod ? leaseMs * 1.5 : 1000)
    const fresh = await startTail({ url: anyUrl, cursor: tails[0]!.firstCursor, sent: lookUp })
    await within(() => fresh.ids.length >= verdict.stored, 60_000)
    await sleep(300)
    tails.push(fresh)
    const health = (await (await fetch(`${receivers[0]!.url}health`)).json()) as {
      total_events: number | null
    }
    return {
      ...verdict,
      cycles,
      done,
      acknowledged: oracle.acknowledged.size,
      alerting: [...oracle.alerting].filter((id) => verdict.ids.has(id)).length,
      repeatCount: oracle.repeatCount,
      retryCount: oracle.retryCount,
      surprises: oracle.surprises,
      gaps: [...gone, ...receivers].flatMap(({ stderr }) =>
        stderr.split('\n').filter((line) => line.includes('has a gap')),
      ),
      behind: judgeBehind({
        stored: verdict.ids,
        alerting: oracle.alerting,
        tails: tails.slice(0, -1),
        fresh,
        batches: sink.batches,
        messages: sink.messages,
        downs,
      }),
      connections: tails.reduce((sum, { connections }) => sum + connections, 0),
      batches: sink.batches.length,
      messages: sink.messages.length,
      totalEvents: health.total_events,
      seconds: (performance.now() - startedMs) / 1000,
    }
  } finally {
    for (const tail of tails) await tail.stop()
    for (const receiver of receivers) receiver.kill('SIGKILL')
    await Promise.all(receivers.map(({ exited }) => exited))
    await sink.close()
    await mongod?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function within(condition: () => boolean, timeoutMs: number): Promise<void> {
  const untilMs = performance.now() + timeoutMs
  while (!condition() && performance.now() < untilMs) await sleep(200)
}

/** Without hands: whatever was killed, the next promise comes, or the cycle has failed. */
export async function nextAcknowledgement(acknowledged: { readonly size: number }): Promise<void> {
  const before = acknowledged.size
  const deadline = Date.now() + 60_000
  while (acknowledged.size === before) {
    if (Date.now() > deadline) throw new Error('no event was acknowledged for 60 s after a kill')
    await sleep(10)
  }
}

/** What is wrong, a line each. */
export function faultsOf({ lost, altered, foreign, surprises, behind, ...report }: KillReport): string[] {
  return [
    ...lost.map((id) => `lost: ${id}`),
    ...altered.map((text) => `altered: ${text}`),
    ...foreign.map((id) => `stored twice, or sent by nobody: ${id}`),
    ...surprises,
    ...report.gaps,
    ...behind.tail,
    ...behind.fanout,
    ...behind.alerts,
    // MongoDB itself only estimates after a crash (manual: estimatedDocumentCount).
    ...(report.done.mongod === 0 && report.totalEvents !== report.stored
      ? [`/health counts ${report.totalEvents} of ${report.stored}`]
      : []),
  ]
}

export function toLine(store: string, report: KillReport): string {
  const { done, behind } = report
  return (
    `${store}: ${report.cycles} cycles in ${report.seconds.toFixed()} s: receivers ${done.killed} killed, ${done.ended} ended, ` +
    `${done.stopped} stopped, mongod ${done.mongod} killed; ${report.acknowledged} events acknowledged, ${report.stored} stored, ` +
    `${report.retryCount} retries, ${report.repeatCount} repeats; 2 tails in ${report.connections} connections; ` +
    `${report.batches} batches, ${behind.repeats.fanout} events again; ${report.alerting} alerts in ${report.messages} messages, ` +
    `${behind.repeats.alerts} again; ${faultsOf(report).length} faults`
  )
}
