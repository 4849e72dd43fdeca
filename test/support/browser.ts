import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { toJson, type Value } from '@madsci-events/sdk/event'
import { type Browser, chromium, type Page } from 'playwright-core'
import { expect } from 'vitest'
import { buildPages } from './pages.ts'
import { findPeer } from './peer.ts'
import { startTestReceiver } from './receiver.ts'
import { prepareStore, type StoreName } from './store-flag.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What would run, load or lead elsewhere if it became markup. */
export const hostile =
  '<img src=x onerror="window.broken=1"><a href="javascript:window.broken=1">https://evil.example</a>'
export const longName = 'the-name-of-sixty-letters-that-somebody-once-gave-to-the-thing'

export interface Look {
  dark?: boolean
  /** Pixels. */
  width?: number
  timezoneId?: string
}

export interface PageHouse {
  browser: Browser
  receiver: Awaited<ReturnType<typeof startTestReceiver>>
  /** Id of the stored event. */
  send(
    event_type: string,
    event_data: { [key: string]: Value },
    source: object,
    log_level?: number,
    event_timestamp?: string,
  ): Promise<string>
  /** Troubles are complaints of the console, errors, and requests to any other host. */
  open(path: string, look?: Look): Promise<{ page: Page; troubles: string[] }>
  close(): Promise<void>
}

let isBuilt = false

/** A receiver with its pages on a store, and a real Chromium; or why there is none. */
export async function startPages(
  flags: { [name: string]: string } = {},
  store: StoreName = 'sqlite',
): Promise<PageHouse | { skip: string }> {
  const found = findPeer('CHROMIUM_BINARY')
  if ('skip' in found) return found
  const prepared = await prepareStore(store)
  if ('skip' in prepared) return prepared
  if (!isBuilt) buildPages()
  isBuilt = true
  const browser = await chromium.launch({ executablePath: found.path, args: ['--no-sandbox'] })
  const receiver = await startTestReceiver({ flags: { ...prepared.flags, ...flags } })
  return {
    browser,
    receiver,
    async send(event_type, event_data, source, log_level = 20, event_timestamp) {
      const answer = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        // Numbers of any size.
        body: toJson({
          event_type,
          event_data,
          source: source as Value,
          log_level,
          ...(event_timestamp && { event_timestamp }),
        }),
      })
      expect(answer.status).toBe(200)
      return ((await answer.json()) as { _id: string })._id
    },
    async open(path, { dark = false, width = 1000, ...look } = {}) {
      const page = await browser.newPage({
        colorScheme: dark ? 'dark' : 'light',
        viewport: { width, height: 800 },
        ...look,
      })
      const troubles: string[] = []
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) troubles.push(message.text())
      })
      page.on('pageerror', (error) => troubles.push(error.message))
      page.on('request', (request) => {
        if (!request.url().startsWith(receiver.url)) troubles.push(`asked ${request.url()}`)
      })
      await page.goto(receiver.url + path)
      return { page, troubles }
    },
    async close() {
      await browser.close()
      await receiver.close()
      await prepared.stop()
    },
  }
}

/** Nothing foreign ran or was made of what events say, the text is there as text, and axe has no finding. */
export async function expectSound({ page, troubles }: { page: Page; troubles: string[] }): Promise<void> {
  const foreign = await page.evaluate(
    "[window.broken, document.querySelectorAll('main img').length, [...document.querySelectorAll('main a')].filter((a) => a.origin !== location.origin).length]",
  )
  expect(foreign).toEqual([undefined, 0, 0])
  expect(await page.textContent('main')).toContain('onerror=')
  expect(troubles).toEqual([])
  // The policy of the page keeps injected scripts out; the debugger's evaluation is not under it.
  await page.evaluate(axe)
  const found = (await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + " " + nodes.map((one) => one.html).join()))',
  )) as string[]
  expect(found).toEqual([])
}

/** Nothing sticks out to the right. */
export async function expectFits(house: PageHouse, path: string, selector: string): Promise<void> {
  for (const width of [380, 700, 1920]) {
    const { page } = await house.open(path, { width })
    await page.waitForSelector(selector)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    await page.close()
  }
}
