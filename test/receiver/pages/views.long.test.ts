import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectSound, hostile, type PageHouse, startPages } from '../../support/browser.ts'
import { storeNames } from '../../support/store-flag.ts'

describe.each(storeNames)('a display on a wall, and saved views, on %s', (store) => {
  let house: PageHouse
  let skip: string | undefined
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    const started = await startPages({ naive_timezone: 'Asia/Kolkata' }, store)
    if ('skip' in started) skip = started.skip
    else {
      house = started
      await house.send('node_start', { node_name: hostile }, { node_id: createEventId() })
    }
  })
  afterAll(() => house?.close())

  it('the wall shows the laboratory large, says whether it is connected, and has no links above', async () => {
    const opened = await house.open('?wall', { width: 1920 })
    await opened.page.waitForSelector('.wall .tile')
    expect(await opened.page.locator('nav').count()).toBe(0)
    expect(await opened.page.textContent('.contact')).toBe('connected')
    await expectSound(opened)
    await opened.page.close()
  })

  it('one switch shows every time by the clock of the browser, of the laboratory or by UTC', async () => {
    const id = await house.send('log_info', { message: 'noon' }, {}, 20, '2026-03-04T12:00:00.123456Z')
    const { page, troubles } = await house.open(`e/${id}`, { timezoneId: 'Europe/Berlin' })
    const time = () => page.textContent('dl div:has(dt:text-is("time")) dd')
    await expect.poll(time).toBe('04 Mar 2026, 13:00:00.123456')
    expect(await page.locator('header option').allTextContents()).toEqual([
      'local time',
      expect.stringMatching(/^lab time \(Asia\/(Kolkata|Calcutta)\)$/),
      'UTC',
    ])
    await page.selectOption('header select', 'lab')
    await expect.poll(time).toBe('04 Mar 2026, 17:30:00.123456')
    await page.goto(`${house.receiver.url}timeline?start=2026-03-04T11:00:00Z&end=2026-03-04T13:00:00Z`)
    expect(await page.inputValue('header select')).toBe('lab')
    await page.selectOption('header select', 'UTC')
    await page.goto(`${house.receiver.url}explore?q=noon&span=all`)
    await page.waitForSelector('.events td:has-text("04 Mar 2026, 12:00:00.123456")')
    expect(troubles).toEqual([])
    await page.close()
  })

  it('a view keeps its search under its name, also after the page was loaded again, until it is forgotten', async () => {
    const { page, troubles } = await house.open('explore?q=gripper&span=all')
    await page.click('.views summary')
    await page.fill('.views input', hostile)
    await page.click('.views button:text-is("Save")')
    await page.goto(`${house.receiver.url}explore`)
    await page.click('.views summary')
    await page.click('.views a:has-text("onerror=")')
    await page.waitForURL(
      (url) => url.searchParams.get('q') === 'gripper' && url.searchParams.get('span') === 'all',
    )
    expect(await page.evaluate('window.broken')).toBeUndefined()
    await page.click('.views li button')
    expect(await page.locator('.views li').count()).toBe(0)
    await page.evaluate(`localStorage.setItem('views', '[1,null,{"name":2}]')`)
    await page.reload()
    await page.waitForSelector('.views')
    expect(troubles).toEqual([])
    await page.close()
  })
})
