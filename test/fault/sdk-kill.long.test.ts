import { expect, it } from 'vitest'
import { runSdkKillCycles } from '../support/sdk-kill-cycle.ts'

it('what the SDK took is stored, each once: 20 kills of two programs that share a spool, and of the receiver', async () => {
  const report = await runSdkKillCycles({ cycles: 20 })
  expect(report.lost.slice(0, 5)).toEqual([])
  expect(report.altered.slice(0, 5)).toEqual([])
  expect(report.left).toEqual([])
  expect(report.totalEvents).toBe(report.stored)
  expect(report.stored).toBeGreaterThanOrEqual(report.emitted)
  // A run in which little was emitted would prove little.
  expect(report.emitted).toBeGreaterThan(report.kills * 20)
  console.log(
    `${report.kills} programs and ${report.receiverKills} receivers killed: ${report.emitted} emitted, ` +
      `${report.stored} stored, none lost, none doubled, none altered`,
  )
})
