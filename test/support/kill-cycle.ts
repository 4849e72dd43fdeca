import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshDatabaseName, type Mongod, startMongod } from './mongod.ts'
import { judge, type Oracle, startOracle, type Verdict } from './oracle.ts'
import { findFreePort, type ReceiverProcess, restartReceiver, spawnReceiver } from './process.ts'

export interface KillCycleOptions {
  store: 'sqlite' | 'mongodb'
  cycles: number
  replicaSet?: boolean
  /** Called after each cycle. */
  onCycle?: (cycle: number, oracle: Oracle) => void
}

export interface KillReport extends Verdict {
  cycles: number
  receiverKills: number
  mongodKills: number
  acknowledged: number
  sent: number
  retryCount: number
  surprises: string[]
  /** health.total_events at the end. */
  totalEvents: number | null
}

/**
 * Clients send without pause while the receiver (and mongod, every third time; both at once, every fifth) is killed with
 * SIGKILL at a random moment and started again on the same files and port. Then the oracle reads everything.
 */
export async function runKillCycles(options: KillCycleOptions): Promise<KillReport> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-kill-'))
  const mongod: Mongod | undefined =
    options.store === 'mongodb' ? await startMongod({ replicaSet: options.replicaSet ?? false }) : undefined
  const flags = {
    server_url: `http://127.0.0.1:${await findFreePort()}/`,
    otlp_port: 'none',
    document_db_url: mongod ? mongod.url : `sqlite:${join(folder, 'events.db')}`,
    database_name: freshDatabaseName(),
    log_level: 'error',
  }
  let receiver: ReceiverProcess = await spawnReceiver({ flags })
  const oracle = startOracle({ url: () => receiver.url, singleClients: 4, batchClients: 2, batchEvents: 50 })
  const report = { receiverKills: 0, mongodKills: 0 }
  try {
    for (let cycle = 1; cycle <= options.cycles; cycle++) {
      await sleep(30 + Math.random() * 400)
      const killsMongod = mongod !== undefined && (cycle % 3 === 0 || cycle % 5 === 0)
      const killsReceiver = !killsMongod || cycle % 5 === 0
      const down: Promise<unknown>[] = []
      if (killsMongod) {
        report.mongodKills++
        down.push(mongod.kill())
      }
      if (killsReceiver) {
        report.receiverKills++
        receiver.kill('SIGKILL')
        down.push(receiver.exited)
      }
      await Promise.all(down)
      if (killsMongod) await mongod.restart()
      if (killsReceiver) receiver = await restartReceiver({ flags })
      await nextAcknowledgement(oracle.acknowledged)
      options.onCycle?.(cycle, oracle)
    }
    await oracle.stop()
    const verdict = await judge(receiver.url, oracle)
    const health = (await (await fetch(`${receiver.url}health`)).json()) as { total_events: number | null }
    return {
      ...verdict,
      ...report,
      cycles: options.cycles,
      acknowledged: oracle.acknowledged.size,
      sent: oracle.sent.size,
      retryCount: oracle.retryCount,
      surprises: oracle.surprises,
      totalEvents: health.total_events,
    }
  } finally {
    receiver.kill('SIGKILL')
    await receiver.exited
    await mongod?.stop()
    await rm(folder, { recursive: true, force: true })
  }
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
