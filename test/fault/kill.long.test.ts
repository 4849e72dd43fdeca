import { describe, expect, it } from 'vitest'
import { faultsOf, type KillReport, runKillCycles, toLine } from '../support/kill-cycle.ts'
import { findMongo } from '../support/mongod.ts'

function expectKept(store: string, report: KillReport): void {
  console.log(toLine(store, report))
  expect(faultsOf(report).slice(0, 5)).toEqual([])
  // A run in which nothing was acknowledged, or nobody had to try again, would prove nothing.
  expect(report.acknowledged).toBeGreaterThan(report.cycles * 20)
  expect(report.retryCount).toBeGreaterThan(0)
  expect(report.alerting).toBeGreaterThan(0)
}

describe('no acknowledged event is lost or doubled, in the store, tails, a destination and alerts, while clocks are wrong', () => {
  it('SQLite: 5 kills of the receiver under load', async () => {
    expectKept('SQLite', await runKillCycles({ store: 'sqlite', cycles: 5 }))
  })

  it('MongoDB: 10 times one of two receivers, mongod or both are killed, or one stands still for longer than its lease', async (context) => {
    const mongo = await findMongo()
    if ('skip' in mongo) return context.skip(mongo.skip)
    if (mongo.kind !== 'binary') return context.skip('only a mongod of our own can be killed')
    expectKept('MongoDB', await runKillCycles({ store: 'mongodb', cycles: 10 }))
  })
})
