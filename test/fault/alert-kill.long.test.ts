import { describe, expect, it } from 'vitest'
import { type AlertKillReport, runAlertKills } from '../support/alert-kill.ts'
import { findMongo } from '../support/mongod.ts'

function expectOnce(report: AlertKillReport): void {
  console.log(
    `${report.cycles} kills: ${report.acknowledged} events that each raise an alert, ${report.messages} messages, ` +
      `${report.repeats} repeated because a kill fell between acceptance and note, none lost, none doubled`,
  )
  expect(report.untold.slice(0, 5)).toEqual([])
  expect(report.doubled.slice(0, 5)).toEqual([])
  expect(report.foreign).toEqual([])
  expect(report.acknowledged).toBeGreaterThan(report.cycles)
}

describe.concurrent('alerts come, and once, though receivers are killed between commit and send', () => {
  it('SQLite: 20 kills', async () => {
    expectOnce(await runAlertKills({ store: 'sqlite', cycles: 20 }))
  }, 240_000)

  it('MongoDB: 20 kills of one of two receivers', async (context) => {
    const mongo = await findMongo()
    if ('skip' in mongo) return context.skip(mongo.skip)
    expectOnce(await runAlertKills({ store: 'mongodb', cycles: 20 }))
  }, 240_000)
})
