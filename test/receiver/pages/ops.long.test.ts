import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectFits, expectSound, hostile, type PageHouse, startPages } from '../../support/browser.ts'
import { storeNames } from '../../support/store-flag.ts'

describe.each(storeNames)('operation in a real browser, on %s', (store) => {
  let house: PageHouse
  let skip: string | undefined
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    const channels = { hook: { kind: 'webhook', url: 'https://someone:hidden-word@chat.example/hook' } }
    const rules = [{ event_type: ['log_debug'], max_level: 20, soft_delete_after_days: 7 }]
    const retention = { retention_enabled: 'true', retention_rules: JSON.stringify(rules) }
    const flags = {
      ...retention,
      pages: 'act',
      manager_name: hostile,
      alert_channels: JSON.stringify(channels),
    }
    const started = await startPages(flags, store)
    if ('skip' in started) skip = started.skip
    else {
      house = started
      await house.send('log_info', { message: 'one' }, { node_id: createEventId() })
      const earlier = new Date(Date.now() - 3 * 86_400_000).toISOString()
      await house.send('log_info', { message: 'before' }, {}, 20, earlier)
    }
  })
  afterAll(() => house?.close())

  for (const dark of [false, true])
    it(`${dark ? 'dark' : 'light'}: sound, and no secret is in it`, async () => {
      const opened = await house.open('ops', { dark })
      await opened.page.waitForSelector('dl:has-text("onerror=")')
      await opened.page.waitForSelector('.growth li')
      await opened.page.waitForSelector('button:has-text("Make a backup")')
      expect(await opened.page.textContent('main')).toContain('2 events')
      expect(await opened.page.textContent('main')).toContain('ms each on average')
      // Today's part of a day counts as a day.
      await opened.page.waitForSelector('dl:has-text("a day, by the last 4 days")')
      expect(await opened.page.textContent('main')).toMatch(/on disk, with indexes[\d.]+ [kM]B/)
      expect(await opened.page.textContent('main')).toContain(
        'warning: backup: backups are not made by schedule',
      )
      await opened.page.waitForSelector(
        'p:has-text("archived after 90 days and deleted 365 days later, but for 1 rule of retention_rules")',
      )
      expect(await opened.page.content()).not.toContain('hidden-word')
      await expectSound(opened)
      await opened.page.close()
    })

  it('nothing sticks out', () => expectFits(house, 'ops', '.growth li'))

  it('makes a backup by its button, and shows that it is whole', async () => {
    const { page, troubles } = await house.open('')
    await page.click('nav a:has-text("Operation")')
    await page.waitForSelector('li:has-text("There is none")')
    await page.click('button:has-text("Make a backup")')
    await page.waitForSelector('li:has-text("whole")', { timeout: 20_000 })
    expect(troubles).toEqual([])
    await page.close()
  })
})
