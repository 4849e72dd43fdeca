import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectSound, hostile, type PageHouse, startPages } from '../../support/browser.ts'

describe('a display on a wall, and saved views', () => {
  let house: PageHouse
  let skip: string | undefined
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    const started = await startPages()
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
