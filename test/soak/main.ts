// Does any of a thousand kills lose or double an acknowledged event, in the store, tails, a destination or messages of alerts,
// or one that the SDK took, or any of 500 an alert of many?
// `npm run soak [-- cycles [sqlite | mongodb | sdk | alert-sqlite | alert-mongodb]]`
// Does the heap of the explorer stay flat while it is live? `npm run soak -- tail [seconds [sqlite | mongodb]]`
// Do ten hostile clients slow, fill, change or stop it? `npm run soak -- hostile [seconds [sqlite | mongodb]]`
import { runAlertKills } from '../support/alert-kill.ts'
import { faultsOf, runKillCycles, toLine } from '../support/kill-cycle.ts'
import { findMongo } from '../support/mongod.ts'
import { runSdkKillCycles } from '../support/sdk-kill-cycle.ts'
import { warmCompileCache } from './compile-cache.ts'
import { runHostileSoak } from './hostile.ts'
import { runTailSoak } from './tail.ts'

if (process.argv[2] === 'tail') {
  const seconds = Number(process.argv[3] ?? 3600)
  let held = true
  for (const store of ['sqlite', 'mongodb'] as const) {
    if (process.argv[4] !== undefined && process.argv[4] !== store) continue
    if ((await runTailSoak({ seconds, store, print: console.log })) === false) held = false
  }
  process.exit(held ? 0 : 1)
}

if (process.argv[2] === 'hostile') {
  const seconds = Number(process.argv[3] ?? 600)
  let held = true
  // A lab runs compiled files: each thread that starts would strip types here.
  const dropCache = await warmCompileCache()
  for (const store of ['sqlite', 'mongodb'] as const) {
    if (process.argv[4] !== undefined && process.argv[4] !== store) continue
    if ((await runHostileSoak({ seconds, store, print: console.log })) === false) held = false
  }
  await dropCache()
  process.exit(held ? 0 : 1)
}

const cycles = Number(process.argv[2] ?? 1000)
const only = process.argv[3]
let failed = false
const dropCache = await warmCompileCache()
const startedMs = performance.now()
for (const store of ['sqlite', 'mongodb'] as const) {
  if (only !== undefined && only !== store) continue
  const mongo = await findMongo()
  if (store === 'mongodb' && !('kind' in mongo && mongo.kind === 'binary')) {
    console.log(
      `${store}: skipped: ${'skip' in mongo ? mongo.skip : 'only a mongod of our own can be killed'}`,
    )
    continue
  }
  const report = await runKillCycles({
    store,
    cycles,
    onCycle(cycle, oracle) {
      if (cycle % 50 === 0) console.log(`${store}: cycle ${cycle}, ${oracle.acknowledged.size} acknowledged`)
    },
  })
  const faults = faultsOf(report)
  if (faults.length > 0) failed = true
  console.log(toLine(store, report))
  for (const line of faults.slice(0, 20)) console.log(`  ${line}`)
}
for (const store of ['sqlite', 'mongodb'] as const) {
  if (only !== undefined && only !== `alert-${store}`) continue
  if (store === 'mongodb' && 'skip' in (await findMongo())) {
    console.log(`alert-${store}: skipped: no MongoDB`)
    continue
  }
  const report = await runAlertKills({
    store,
    cycles: process.argv[2] === undefined ? 500 : cycles,
    onCycle(cycle, told) {
      if (cycle % 50 === 0) console.log(`alert-${store}: cycle ${cycle}, ${told} messages`)
    },
  })
  const { untold, doubled, foreign } = report
  if (untold.length + doubled.length + foreign.length > 0) failed = true
  console.log(
    `alert-${store}: ${report.cycles} kills, ${report.acknowledged} events that raise an alert, ${report.messages} messages, ` +
      `${report.repeats} repeated between acceptance and note; ${untold.length} lost, ${doubled.length} doubled, ${foreign.length} foreign`,
  )
  for (const line of [...untold, ...doubled, ...foreign].slice(0, 20)) console.log(`  ${line}`)
}
if (only === undefined || only === 'sdk') {
  const report = await runSdkKillCycles({
    cycles,
    programs: 1,
    onCycle(cycle, emitted) {
      if (cycle % 50 === 0) console.log(`sdk: cycle ${cycle}, ${emitted} emitted`)
    },
  })
  const { kills, receiverKills, emitted, stored, lost, altered, left, totalEvents } = report
  if (lost.length + altered.length + left.length > 0 || totalEvents !== stored) failed = true
  console.log(
    `sdk: ${kills} program kills, ${receiverKills} receiver kills, ${emitted} emitted, ${stored} stored; ` +
      `${lost.length} lost, ${altered.length} altered, ${totalEvents - stored} doubled, ${left.length} left behind`,
  )
}
console.log(`${((performance.now() - startedMs) / 1000).toFixed(0)} s`)
await dropCache()
process.exit(failed ? 1 : 0)
