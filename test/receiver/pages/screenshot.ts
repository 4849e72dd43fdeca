// Pictures of every page for those who change one: node --conditions=madsci-events-source test/receiver/pages/screenshot.ts
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { startLab } from '../../../receiver/src/demo/lab.ts'
import { buildPages } from '../../support/pages.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const folder = join(import.meta.dirname, '../../screenshots')
mkdirSync(folder, { recursive: true })
buildPages()
const alert_rules = JSON.stringify([{ name: 'node-in-error', selector: { event_type: 'node_error' } }])
const receiver = await startTestReceiver({ flags: { alert_rules, pages: 'act' } })
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_BINARY!,
  args: ['--no-sandbox'],
})

/** The pages whose pictures are wanted, by the beginnings of their names; all without any. */
const wanted = process.argv.slice(2)

async function shoot(name: string, path: string, selector: string): Promise<void> {
  if (wanted.length > 0 && !wanted.some((one) => name.startsWith(one))) return
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [380, 1000, 1920]) {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } })
      await page.goto(receiver.url + path)
      await page.waitForSelector(selector)
      await sleep(2500)
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`) })
      await page.close()
    }
}

/** As it comes out of a printer. */
async function print(name: string, path: string, selector: string): Promise<void> {
  if (wanted.length > 0 && !wanted.some((one) => name.startsWith(one))) return
  const page = await browser.newPage({ colorScheme: 'dark', viewport: { width: 794, height: 1123 } })
  await page.goto(receiver.url + path)
  await page.waitForSelector(selector)
  await page.emulateMedia({ media: 'print' })
  await page.screenshot({ path: join(folder, `${name}-print.png`), fullPage: true })
  await page.close()
}

const post = async (event: object) =>
  (await (
    await fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
    })
  ).json()) as { _id: string }

await shoot('empty', '', '.note')
await shoot('wall-empty', '?wall', '.note')
await shoot('event-empty', 'e/nothing', '.sentence-bad')
await shoot('run-empty', 'run/workflow/nothing', '.sentence')
await shoot('timeline-empty', 'timeline', '.note')
await shoot('empty-runs', 'runs', 'main .note')
await shoot('use-empty', 'use', '.note')
await shoot('watch-empty', 'watch', '#preview')
await shoot('ops-empty', 'ops', '.lines')
await shoot('explore-empty', 'explore', '.histogram')
const lab = startLab({ url: receiver.url, spoolDir: receiver.folder, speed: 4 })
await sleep(6000)
await shoot('lab', '', '.tile')
const source = { node_id: '01KBVX3V6N0000000000000001' }
await post({
  event_type: 'node_start',
  source,
  event_data: { node_name: 'a-node-with-a-name-of-sixty-letters-that-somebody-once-gave-it' },
})
await post({ event_type: 'node_start', source: { node_id: '01KBVX3V6N0000000000000002' } })
const { _id: eventId } = await post({
  event_type: 'node_error',
  log_level: 40,
  source,
  event_data: { message: 'Tip rack 3 is empty: no tip at A7 after three attempts', retries: 3 },
})
// Nothing of these has a name: only ids.
const nameless = {
  node_id: '01KBVX3V6N0000000000000003',
  workflow_id: '01KBVX3V6N0000000000000004',
  step_id: '01KBVX3V6N0000000000000005',
}
await post({ event_type: 'workflow_start', source: { workflow_id: nameless.workflow_id } })
await post({ event_type: 'workflow_step_start', source: nameless })
const { _id: namelessId } = await post({ event_type: 'node_status_update', source: nameless })
await shoot('trouble', '', '.sentence-bad')
await shoot('wall', '?wall', '.tile')
await shoot('watch', 'watch', '.alert')
await shoot('ops', 'ops', '.growth li')
await shoot('explore', 'explore', '.events td')
await shoot('detail', `explore?id=${eventId}`, 'aside pre')
await shoot('timeline', 'timeline?span=1h', '.timeline-names')
await shoot('use', 'use?span=24h', '.heat')
await shoot('event', `e/${eventId}`, 'pre')
await shoot('nameless', `e/${namelessId}`, 'pre')
await shoot('nameless-list', `explore?q=workflow:${nameless.workflow_id}`, '.events td')
await shoot('nameless-run', `run/workflow/${nameless.workflow_id}`, '.gantt li')
await shoot('runs', 'runs', '.runs li')
const { runs } = (await (await fetch(`${receiver.url}runs`)).json()) as {
  runs: { kind: string; id: string }[]
}
const experiment = runs.find(({ kind }) => kind === 'experiment')!
const [one, two] = runs.filter(({ kind }) => kind === 'workflow')
await shoot('experiment', `run/experiment/${experiment.id}`, '.gantt li')
await shoot('pair', `run/workflow/${one!.id}?with=workflow/${two!.id}`, 'article:nth-child(2) .gantt li')
await print('experiment', `run/experiment/${experiment.id}`, '.gantt li')
await browser.close()
await lab.close()
await receiver.close()
