import { describe, expect, it } from 'vitest'
import { type KillReport, runKillCycles } from '../support/kill-cycle.ts'
import { findMongo } from '../support/mongod.ts'

function expectNothingLost(report: KillReport): void {
  expect(report.surprises).toEqual([])
  expect(report.lost.slice(0, 5)).toEqual([])
  expect(report.altered.slice(0, 2)).toEqual([])
  expect(report.foreign.slice(0, 5)).toEqual([])
  // MongoDB itself only estimates after a crash (manual: estimatedDocumentCount).
  if (report.mongodKills === 0) expect(report.totalEvents).toBe(report.stored)
  // A run in which nothing was acknowledged, or nobody had to try again, would prove nothing.
  expect(report.acknowledged).toBeGreaterThan(report.cycles * 50)
  expect(report.retryCount).toBeGreaterThan(report.cycles)
  console.log(
    `${report.cycles} cycles, ${report.receiverKills} receiver and ${report.mongodKills} mongod kills: ` +
      `${report.acknowledged} acknowledged, ${report.stored} stored, ${report.retryCount} retries, none lost, none doubled`,
  )
}

describe('no acknowledged event is lost, none is doubled', () => {
  it('SQLite: 20 kills of the receiver under load', async () => {
    expectNothingLost(await runKillCycles({ store: 'sqlite', cycles: 20 }))
  })

  it('MongoDB: 20 kills of the receiver, mongod or both under load', async (context) => {
    const mongo = await findMongo()
    if ('skip' in mongo) return context.skip(mongo.skip)
    if (mongo.kind !== 'binary') return context.skip('only a mongod of our own can be killed')
    expectNothingLost(await runKillCycles({ store: 'mongodb', cycles: 20 }))
  })
})
