import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectSound, hostile, type Look, type PageHouse, startPages } from '../../support/browser.ts'
import { storeNames } from '../../support/store-flag.ts'

const minute = 60_000
const day = Date.parse('2026-03-04T00:00:00Z')
const timeOf = (minutes: number) => new Date(day + minutes * minute).toISOString()
const whole = `use?start=${timeOf(0)}&end=${timeOf(1440)}`

describe.each(storeNames)('the use of a laboratory in a real browser, on %s', (store) => {
  let house: PageHouse
  let skip: string | undefined
  const [arm, reader, workflow] = [createEventId(), createEventId(), createEventId()]
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    const started = await startPages({}, store)
    if ('skip' in started) {
      skip = started.skip
      return
    }
    house = started
    const experiment_id = createEventId()
    const [step_id, action_id] = [createEventId(), createEventId()]
    const at = { workflow_id: workflow, step_id, node_id: arm }
    await send(0, 'node_start', { node_name: hostile }, { node_id: arm })
    await send(0, 'node_start', { node_name: 'reader' }, { node_id: reader })
    await send(600, 'experiment_start', { run_name: hostile }, { experiment_id })
    const author = { name: 'assay', status: 'queued', author: hostile }
    await send(600, 'workflow_start', author, { workflow_id: workflow, experiment_id })
    await send(630, 'workflow_step_start', { name: 'transfer' }, at)
    await send(630, 'action_start', { name: 'pick', action_id }, { ...at, action_id })
    await send(645, 'action_complete', { name: 'pick', action_id }, { ...at, action_id })
    await send(645, 'workflow_step_complete', { name: 'transfer' }, at)
    await send(645, 'workflow_complete', { name: 'assay' }, { workflow_id: workflow, experiment_id })
    await send(660, 'experiment_complete', { run_name: hostile }, { experiment_id })
    await send(1000, 'node_error', { message: hostile }, { node_id: reader }, 40)
    await send(1010, 'node_start', { node_name: 'reader' }, { node_id: reader })
  })
  afterAll(() => house?.close())

  const send = (
    minutes: number,
    type: string,
    data: { [key: string]: string },
    source: object,
    level?: number,
  ) => house.send(type, data, source, level, timeOf(minutes))

  async function open(path: string, look: Look = {}) {
    const { page, troubles } = await house.open(path, { timezoneId: 'UTC', ...look })
    const part = (title: string) => page.locator(`section[aria-label="${title}"]`)
    const ready = () => expect.poll(() => page.locator('section:has-text("reading …")').count()).toBe(0)
    return { page, troubles, part, ready }
  }

  it.each([false, true])('dark %s: axe has no finding, nothing foreign runs or is asked', async (dark) => {
    const { page, troubles, ready } = await open(whole, { dark })
    await page.waitForSelector('.heat')
    await ready()
    for (const details of await page.locator('details').all()) await details.locator('summary').click()
    await expectSound({ page, troubles })
    await page.close()
  })

  it.each([380, 1920])('nothing sticks out at %i pixels', async (width) => {
    const { page, ready } = await open(whole, { width })
    await page.waitForSelector('.heat')
    await ready()
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    await page.close()
  })

  it('says how long each node, user and experiment worked, for what was waited, and what differs', async () => {
    const { page, troubles, part, ready } = await open(whole)
    await page.waitForSelector('.heat')
    await ready()
    expect(await part('Nodes').locator('li').allTextContents()).toEqual([
      expect.stringMatching(/onerror.*busy 15 min, 1\.04 %, 1 run$/),
      expect.stringMatching(/^readerbusy 0 s, 0 %, error 10 min/),
    ])
    expect(await part('Users').textContent()).toContain('busy 15 min')
    expect(await part('Users').textContent()).toContain('onerror=')
    expect(await part('Experiments').textContent()).toContain('onerror=')
    expect(await part('Waits by cause').locator('.rows >> nth=0').textContent()).toBe(
      'workflows in the queue, before their first workits node was idle 30 min30 min in 1',
    )
    const differs = part("What differs from MADSci's own report")
    await differs.locator('summary:has-text("onerror")').click()
    expect(await differs.textContent()).toContain(
      'idle there, busy herethe original reads action_status_change alone',
    )
    expect(await differs.locator('details[open] a').first().getAttribute('href')).toMatch(/^\/e\//)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('any cell opens the timeline of its node and hour, by click and by keyboard', async () => {
    const { page, troubles } = await open(whole)
    const canvas = page.locator('.heat canvas')
    await canvas.waitFor()
    const box = (await canvas.boundingBox())!
    // The reader, from 16:00 to 17:00, when it failed.
    const at = { x: (box.width * 16.5) / 24, y: (box.height * 3) / 4 }
    await canvas.hover({ position: at })
    await expect.poll(() => canvas.getAttribute('aria-valuetext')).toContain('idle 83 %, error 17 %')
    await canvas.click({ position: at })
    await page.waitForSelector('.timeline-detail')
    const { pathname, searchParams } = new URL(page.url())
    expect([pathname, searchParams.get('start'), searchParams.get('end')]).toEqual([
      '/timeline',
      timeOf(960),
      timeOf(1020),
    ])
    expect(await page.textContent('.timeline-detail')).toContain('node reader')
    await page.goBack()
    await canvas.focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('Enter')
    await page.waitForURL((url) => url.searchParams.get('start') === timeOf(22 * 60))
    expect(troubles).toEqual([])
    await page.close()
  })

  it('shows the other parts where one fails, and programs get their JSON as before', async () => {
    const { page, part, ready } = await open('use?span=all')
    await page.route('**/utilization/compare*', (route) => route.fulfill({ status: 200, body: '{' }))
    await page.reload()
    await ready()
    expect(await part('Nodes').locator('li').count()).toBe(2)
    expect(await part("What differs from MADSci's own report").locator('.problem').count()).toBe(1)
    const answer = await fetch(`${house.receiver.url}utilization/summary`)
    expect(answer.headers.get('content-type')).toBe('application/json')
    await answer.body?.cancel()
    await page.close()
  })
})
