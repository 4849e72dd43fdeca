import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { WatchAnswer } from '../../../receiver/src/http/watch-answer.ts'
import { expectFits, expectSound, hostile, type PageHouse, startPages } from '../../support/browser.ts'

const alert_rules = JSON.stringify([
  { name: 'jam', selector: { 'event_data.kind': 'jam' }, group_by: ['event_data.message'] },
])

describe('alerts in a real browser', () => {
  let house: PageHouse
  let skip: string | undefined
  const jam = (message: string) =>
    house.send('node_error', { kind: 'jam', message }, { node_id: createEventId() })
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    const started = await startPages({ alert_rules, pages: 'act' })
    if ('skip' in started) skip = started.skip
    else {
      house = started
      await jam(hostile)
    }
  })
  afterAll(() => house?.close())
  const watch = async () => (await (await fetch(`${house.receiver.url}data/watch`)).json()) as WatchAnswer

  for (const dark of [false, true])
    it(`${dark ? 'dark' : 'light'}: sound`, async () => {
      const opened = await house.open('watch', { dark })
      await opened.page.waitForSelector('.alert:has-text("onerror=")', { timeout: 10_000 })
      await expectSound(opened)
      await opened.page.close()
    })

  it('nothing sticks out', () => expectFits(house, 'watch', '.alert'))

  it('acknowledges, silences and resolves by its buttons, and tries a rule', async () => {
    const { page, troubles } = await house.open('watch')
    const state = async () => (await watch()).alerts.find(({ rule }) => rule === 'jam')!.state
    for (const [label, expected] of [
      ['Silence', 'silenced'],
      ['Acknowledge', 'acknowledged'],
      ['Resolve', 'resolved'],
    ] as const) {
      await page
        .locator('.alert:has(h3:has-text("jam"))')
        .first()
        .locator(`button:has-text("${label}")`)
        .click()
      await expect.poll(state, { timeout: 10_000 }).toBe(expected)
    }
    await page.waitForSelector('section[aria-labelledby=over] .alert')
    await page.fill('input[list]', 'jam')
    await page.click('button:text-is("Try")')
    await page.waitForSelector('section[aria-labelledby=preview] .lines li')
    await page.fill('input[list]', '{"selector": {"event_type": "node_error"}')
    await page.click('button:text-is("Try")')
    await expect
      .poll(() => page.textContent('section[aria-labelledby=preview] [role=status]'))
      .toContain('JSON')
    expect(troubles).toEqual([])
    await page.close()
  })

  it('a page without the token, of another site, or for another route changes nothing', async () => {
    await jam('again')
    const firing = async () =>
      (await watch()).alerts.find(({ rule, state }) => rule === 'jam' && state === 'firing')
    await expect.poll(async () => (await firing())?.rule, { timeout: 10_000 }).toBe('jam')
    const { alert_id } = (await firing())!
    const { token } = await watch()
    const post = async (path: string, headers: { [name: string]: string }) => {
      const answer = await fetch(house.receiver.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', ...headers },
        body: '{}',
      })
      return answer.status
    }
    const resolve = `alerts/${alert_id}/resolve`
    expect(await post(resolve, {})).toBe(403)
    expect(await post(resolve, { 'x-page-token': '' })).toBe(403)
    expect(await post(resolve, { 'x-page-token': `${token!.slice(1)}x` })).toBe(403)
    expect(await post(resolve, { 'x-page-token': token!, origin: 'http://evil.example' })).toBe(403)
    expect(await post(resolve, { 'x-page-token': token!, 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await post('events/archive', { 'x-page-token': token! })).toBe(403)
    expect(await post(resolve, { 'x-page-token': token! })).toBe(200)
  })

  it('with pages=read there are no buttons, and no token opens anything', async () => {
    const other = await startPages({ alert_rules })
    if ('skip' in other) throw new Error(other.skip)
    await other.send('node_error', { kind: 'jam', message: 'x' }, { node_id: createEventId() })
    const { page, troubles } = await other.open('watch')
    await page.waitForSelector('.alert', { timeout: 10_000 })
    expect(await page.locator('.alert button').count()).toBe(0)
    expect(troubles).toEqual([])
    const answer = await fetch(`${other.receiver.url}backup`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin', 'x-page-token': '' },
    })
    expect(answer.status).toBe(403)
    await other.close()
  })
})
