import { setTimeout as sleep } from 'node:timers/promises'
import { startPages } from '../support/browser.ts'

export interface TailOptions {
  seconds: number
  store: 'sqlite' | 'mongodb'
  print: (line: string) => void
}

const eventsPerSecond = 20
// More than the page shows: from here on each new row takes the place of an old one.
const filledEvents = 1200
const shownRows = 1000
const samples = 24
const settleMs = 3000
/** The last quarter beside the second one. */
const maxGrowth = 1.15
const slackBytes = 2e6

/**
 * The explorer, live, in a real browser: heap after garbage collection, DOM nodes and rows, sampled while events come.
 *
 * Answers true when the heap is flat and the newest event is shown; undefined, with the reason printed, without a browser or mongod.
 */
export async function runTailSoak({ seconds, store, print }: TailOptions): Promise<boolean | undefined> {
  const house = await startPages({}, store)
  if ('skip' in house) {
    print(`tail, ${store}: skipped: ${house.skip}`)
    return undefined
  }
  let sent = 0
  const send = async () => {
    await house.send('log_info', { message: `tail ${++sent}`, node_name: `node ${sent % 12}` }, {})
  }
  try {
    const { page, troubles } = await house.open('explore?span=all')
    await page.check('.bar input[type=checkbox] >> nth=0')
    while (sent < filledEvents) await Promise.all(Array.from({ length: 20 }, send))
    await sleep(settleMs)
    const debug = await page.context().newCDPSession(page)
    const heaps: number[] = []
    const startedMs = performance.now()
    for (let sample = 1; sample <= samples; sample++) {
      const untilMs = startedMs + (seconds * 1000 * sample) / samples
      while (performance.now() < untilMs) {
        await send()
        await sleep(1000 / eventsPerSecond)
      }
      await debug.send('HeapProfiler.collectGarbage')
      const { usedSize } = await debug.send('Runtime.getHeapUsage')
      const { nodes, jsEventListeners } = await debug.send('Memory.getDOMCounters')
      heaps.push(usedSize)
      const at = Math.round((performance.now() - startedMs) / 1000)
      print(
        `tail, ${store}: ${at} s, ${sent} events, heap ${(usedSize / 1e6).toFixed(2)} MB, ${nodes} nodes, ${jsEventListeners} listeners`,
      )
    }
    const quarter = samples / 4
    const meanOf = (from: number) => heaps.slice(from, from + quarter).reduce((a, b) => a + b, 0) / quarter
    const [early, late] = [meanOf(quarter), meanOf(samples - quarter)]
    const isFlat = late <= early * maxGrowth + slackBytes
    await page.waitForSelector(`.events td:has-text("tail ${sent}")`, { timeout: 10_000 })
    const rows = await page.locator('.events tbody tr').count()
    const held = isFlat && rows === shownRows && troubles.length === 0
    print(
      `tail, ${store}: ${held ? 'holds' : 'MISSED'}  heap ${(early / 1e6).toFixed(2)} → ${(late / 1e6).toFixed(2)} MB, ${rows} rows; ` +
        `troubles: ${troubles.join('; ') || 'none'}`,
    )
    return held
  } finally {
    await house.close()
  }
}
