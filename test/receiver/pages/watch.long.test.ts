import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { WatchAnswer } from '../../../receiver/src/http/watch-answer.ts'
import { expectFits, expectSound, hostile, type PageHouse, startPages } from '../../support/browser.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { prepareStore, storeNames } from '../../support/store-flag.ts'

const alert_rules = JSON.stringify([
  { name: 'jam', selector: { 'event_data.kind': 'jam' }, group_by: ['event_data.message'] },
])

describe.each(storeNames)('alerts in a real browser, on %s', (store) => {
  let house: PageHouse
  let skip: string | undefined
  const jam = (message: string) =>
    house.send('node_error', { kind: 'jam', message, node_name: 'gripper one' }, { node_id: createEventId() })
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    const started = await startPages({ alert_rules, pages: 'act' }, store)
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
      // What happened, above why somebody is told of it.
      await opened.page.waitForSelector('.alert p:nth-of-type(1):has-text("onerror=")')
      await expectSound(opened)
      await opened.page.close()
    })

  it('nothing sticks out', () => expectFits(house, 'watch', '.alert'))

  it('the first page says of an alert which node it is about, and what happened', async () => {
    const { page, troubles } = await house.open('')
    await page.waitForSelector(
      'section[aria-labelledby=alerts] li:has-text("gripper one"):has-text("onerror=")',
    )
    expect(troubles).toEqual([])
    await page.close()
  })

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
    // On the histogram of what the rule looks at, an arrow for each message; a click leads to the explorer.
    const canvas = page.locator('section[aria-labelledby=preview] canvas')
    await expect.poll(() => canvas.getAttribute('aria-valuetext')).toBe('1 event')
    await canvas.focus()
    await page.keyboard.press('End')
    expect(await canvas.getAttribute('aria-valuetext')).toMatch(/1 \w+, 1 marked$/)
    await page.keyboard.press('Enter')
    await page.waitForSelector('.events td:has-text("onerror=")')
    expect(new URL(page.url()).searchParams.get('q')).toBe('{"event_data.kind":{"$eq":"jam"}}')
    await page.goBack()
    await page.waitForSelector('.alert')
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
    const other = await startPages({ alert_rules }, store)
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

it('receivers of one database take the token of each other', async (context) => {
  const prepared = await prepareStore('mongodb')
  if ('skip' in prepared) return context.skip(prepared.skip)
  const flags = { ...prepared.flags, alert_rules, pages: 'act' }
  const pair = await Promise.all([startTestReceiver({ flags }), startTestReceiver({ flags })])
  const tokens = await Promise.all(
    pair.map(async ({ url }) => ((await (await fetch(`${url}data/watch`)).json()) as WatchAnswer).token),
  )
  expect(tokens[0]).toMatch(/^[\w-]{32}$/)
  expect(tokens[1]).toBe(tokens[0])
  await Promise.all(pair.map((one) => one.close()))
  await prepared.stop()
})
