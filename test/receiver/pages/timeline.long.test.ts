import { createEventId } from '@madsci-events/sdk/event'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectSound, hostile, longName, type PageHouse, startPages } from '../../support/browser.ts'
import { storeNames } from '../../support/store-flag.ts'

const minute = 60_000
const day = Date.parse('2026-03-04T00:00:00Z')
const range = (from: number, until: number) =>
  `start=${new Date(day + from * minute).toISOString()}&end=${new Date(day + until * minute).toISOString()}`

describe.each(storeNames)('the timeline in a real browser, on %s', (store) => {
  let house: PageHouse
  let skip: string | undefined
  const ids = {
    arm: createEventId(),
    reader: createEventId(),
    workflow: createEventId(),
    other: createEventId(),
    began: '',
    failed: '',
  }
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
    const { arm, reader, workflow, other } = ids
    await send(0, 'node_start', { node_name: longName }, { node_id: arm })
    await send(0, 'node_start', { node_name: hostile }, { node_id: reader })
    await send(600, 'workflow_start', { name: hostile, status: 'queued' }, { workflow_id: workflow })
    const step_id = createEventId()
    const at = { workflow_id: workflow, step_id, node_id: arm }
    ids.began = await send(610, 'workflow_step_start', { name: 'transfer' }, at)
    const action_id = createEventId()
    await send(610, 'action_start', { name: 'pick', action_id }, { ...at, action_id })
    await send(620, 'action_complete', { name: 'pick', action_id }, { ...at, action_id })
    await send(620, 'workflow_step_complete', { name: 'transfer' }, at)
    await send(640, 'workflow_complete', { name: hostile }, { workflow_id: workflow })
    await send(900, 'workflow_start', { name: 'second' }, { workflow_id: other })
    await send(905, 'workflow_complete', { name: 'second' }, { workflow_id: other })
    ids.failed = await send(1000, 'node_error', { message: hostile }, { node_id: reader }, 40)
    await send(1010, 'node_start', { node_name: hostile }, { node_id: reader })
  })
  afterAll(() => house?.close())

  const send = (
    minutes: number,
    type: string,
    data: { [key: string]: string },
    source: object,
    level?: number,
  ) => house.send(type, data, source, level, new Date(day + minutes * minute).toISOString())
  const whole = `timeline?${range(0, 1440)}`
  const names = (page: Page) => page.locator('.timeline-names button').allTextContents()
  const detail = (page: Page) => page.locator('.timeline-detail')

  it.each([false, true])('dark %s: axe has no finding, nothing foreign runs or is asked', async (dark) => {
    const { page, troubles } = await house.open(whole, { dark })
    await expect.poll(() => names(page), { timeout: 20_000 }).toEqual([longName, hostile, hostile, 'second'])
    await page.click('.timeline-names button >> nth=2')
    await detail(page).locator('a:has-text("event …")').first().waitFor()
    await expectSound({ page, troubles })
    await page.close()
  })

  it('experiments have a row of their own', async () => {
    const experiment_id = createEventId()
    const at = 5 * 1440
    await send(at, 'experiment_start', { run_name: 'growth curves' }, { experiment_id })
    await send(at + 30, 'experiment_complete', { run_name: 'growth curves' }, { experiment_id })
    const { page, troubles } = await house.open(`timeline?${range(at - 60, at + 60)}`)
    await page.click('.timeline-names button:has-text("growth curves")')
    await expect.poll(() => detail(page).textContent()).toContain('experiment growth curves')
    await expect.poll(() => detail(page).textContent()).toContain('30 min')
    expect(troubles).toEqual([])
    await page.close()
  })

  it.each([380, 700, 1920])('nothing sticks out at %i pixels', async (width) => {
    const { page } = await house.open(whole, { width })
    await expect.poll(() => names(page)).toHaveLength(4)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    await page.close()
  })

  it('a click on an interval tells what it is, which events began and ended it, and leads to them', async () => {
    const { page, troubles } = await house.open(whole)
    const canvas = page.locator('.timeline canvas')
    await canvas.waitFor()
    const box = (await canvas.boundingBox())!
    const row = (await page.locator('.timeline-names li').nth(1).boundingBox())!
    // The node in error, from minute 1000 to 1010.
    await page.mouse.click(box.x + (box.width * 1005) / 1440, row.y + 8)
    await expect.poll(() => detail(page).textContent()).toContain('error')
    const began = detail(page).locator('dl div:has-text("from") a')
    expect(await began.getAttribute('href')).toBe(`/e/${ids.failed}`)
    await began.click()
    await page.waitForSelector('pre')
    await page.goBack()
    await expect.poll(() => detail(page).textContent()).toContain('error')
    // The queue of the workflow says for which node it waited.
    const workflow = (await page.locator('.timeline-names li').nth(2).boundingBox())!
    await page.mouse.click(box.x + (box.width * 605) / 1440, workflow.y + 8)
    await expect.poll(() => detail(page).textContent()).toContain('idle (queued), 10 min')
    await expect
      .poll(() => detail(page).textContent())
      .toContain(`waited for${longName}, which was idle 10 min`)
    expect(await detail(page).locator('dl div:has-text("until") a').getAttribute('href')).toBe(
      `/e/${ids.began}`,
    )
    await detail(page).locator('a:has-text("Events of this time")').click()
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(3)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('follows one workflow with its steps, shortens idle time, and keeps all of it in the address', async () => {
    const { page, troubles } = await house.open(whole)
    await page.click('.timeline-names button >> nth=2')
    await detail(page).locator('button:has-text("Follow")').click()
    await expect.poll(() => names(page)).toEqual([longName, hostile, 'transfer'])
    await page.check('.bar input[type=checkbox]')
    const { searchParams } = new URL(page.url())
    expect([searchParams.get('workflow'), searchParams.get('idle')]).toEqual([ids.workflow, 'short'])
    await page.reload()
    await expect.poll(() => names(page)).toEqual([longName, hostile, 'transfer'])
    await page.click('[aria-label="Show all workflows"]')
    await expect.poll(() => names(page)).toHaveLength(4)
    await page.goBack()
    await expect.poll(() => names(page)).toHaveLength(3)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('by keyboard: moves, zooms, goes from row to row and along, and to the events', async () => {
    const { page, troubles } = await house.open(whole)
    const canvas = page.locator('.timeline canvas')
    await canvas.focus()
    const address = () => new URL(page.url()).searchParams
    await page.keyboard.press('+')
    await expect
      .poll(() => Date.parse(address().get('end')!) - Date.parse(address().get('start')!))
      .toBe(720 * minute)
    await page.keyboard.press('ArrowRight')
    await expect
      .poll(() => address().get('start'))
      .toContain(new Date(day + 504 * minute).toISOString().slice(0, 19))
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('k')
    await expect.poll(() => canvas.getAttribute('aria-valuetext')).toContain('error (errored), 10 min')
    await detail(page).locator('a:has-text("event …")').first().waitFor()
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    await page.waitForSelector('pre')
    expect(new URL(page.url()).pathname).toBe(`/e/${ids.failed}`)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('says honestly that nothing is in a time, and what is left out of too much', async () => {
    const { page } = await house.open('timeline?span=1h')
    await page.waitForSelector('.timeline-names, .note')
    await page.route('**/data/timeline*', async (route) => {
      const answer = await fetch(`${route.request().url()}&limit=3`)
      await route.fulfill({ status: 200, body: await answer.text() })
    })
    await page.goto(house.receiver.url + whole)
    await expect.poll(() => page.textContent('.bar [role=status]')).toContain('too many to draw: the oldest')
    await page.close()
  })

  it('draws 100,000 intervals in a frame', async () => {
    const { page, troubles } = await house.open(whole)
    await page.route('**/data/timeline*', (route) =>
      route.fulfill({ status: 200, body: JSON.stringify(large()) }),
    )
    await page.reload()
    await expect
      .poll(() => page.textContent('.bar [role=status]'), { timeout: 20_000 })
      .toContain('100,000 intervals')
    await page.waitForTimeout(500)
    // Work of a frame, whatever the display waits for.
    const median = (await page.evaluate(`(async () => {
      const canvas = document.querySelector('.timeline canvas')
      const times = []
      const original = requestAnimationFrame
      window.requestAnimationFrame = (work) => original((now) => {
        const start = performance.now()
        work(now)
        times.push(performance.now() - start)
      })
      for (let i = 0; i < 60; i++) {
        canvas.dispatchEvent(new WheelEvent('wheel', { deltaX: i % 2 ? 60 : -40, cancelable: true, clientX: 500, clientY: 300 }))
        await new Promise((resolve) => original(() => original(resolve)))
      }
      return times.sort((a, b) => a - b)[times.length >> 1]
    })()`)) as number
    expect(median).toBeLessThan(16)
    expect(troubles).toEqual([])
    await page.close()
  })
})

function large(): object {
  const start_us = day * 1000
  const second = 1e6
  const entities = Array.from({ length: 20 }, (_, node) => {
    const count = 5000
    return {
      kind: 'node',
      id: `node-${node}`,
      name: `node ${node}`,
      gaps: new Array(count).fill(0),
      lengths: Array.from({ length: count }, (_, at) => (1 + ((at * 7919 + node) % 30)) * second),
      states: Array.from({ length: count }, (_, at) => (at % 97 === 0 ? 2 : at % 2)),
      causes: Array.from({ length: count }, (_, at) => at % 2),
    }
  })
  return {
    start_us,
    end_us: start_us + 86_400 * second,
    now_us: start_us + 86_400 * second,
    first_us: start_us,
    last_us: start_us + 86_400 * second,
    states: ['busy', 'idle', 'error', 'down', 'unknown'],
    causes: ['running', 'ready'],
    entities,
    intervals: 100_000,
    left_out: {},
  }
}
