import { afterAll, expect, it } from 'vitest'
import { startPages } from '../../support/browser.ts'
import { waitUntil } from '../../support/wait.ts'

const started = await startPages({}, 'sqlite')
afterAll(async () => {
  if (!('skip' in started)) await started.close()
})

const shownRows = 1000
const more = 300

it('a live list lets go of what falls out of it', async (context) => {
  if ('skip' in started) return context.skip(started.skip)
  const { page } = await started.open('explore?span=all')
  await page.check('.bar input[type=checkbox] >> nth=0')
  let sent = 0
  const sendUntil = async (count: number) => {
    while (sent < count)
      await Promise.all(
        Array.from({ length: 20 }, () => started.send('log_info', { message: `event ${++sent}` }, {})),
      )
    await waitUntil(
      async () => (await page.locator('.events tbody').innerText()).includes(`event ${sent}\n`),
      'rows',
    )
  }
  const debug = await page.context().newCDPSession(page)
  const count = async () => {
    await debug.send('HeapProfiler.collectGarbage')
    return debug.send('Memory.getDOMCounters')
  }
  await sendUntil(shownRows + 20)
  await page.waitForFunction(`document.querySelectorAll('.events tbody tr').length === ${shownRows}`)
  const before = await count()
  await sendUntil(shownRows + more)
  const after = await count()
  // Each row has a link that listens, and more nodes than ten.
  expect(after.jsEventListeners - before.jsEventListeners).toBeLessThan(more / 3)
  expect(after.nodes - before.nodes).toBeLessThan(more * 3)
}, 120_000)
