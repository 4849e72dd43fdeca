import { readdirSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { attack as attackInPage } from '../support/hostile-page.js'
import { findPeer } from '../support/peer.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'

const secret = 'the yield of run 17'
/** A name of the web that leads to this machine, as in DNS rebinding. */
const evil = 'evil.example'
const chromiumPath = findPeer('CHROMIUM_BINARY')

const reading = [
  'events',
  'events?number=10',
  'events/archived',
  'events/stream',
  'health',
  'settings',
  'metrics',
  'alerts',
  'backup',
  'backup/status',
  'openapi.json',
  'docs',
  'utilization/summary',
  'utilization/timeline',
]
const changing: [method: string, path: string, body?: string][] = [
  ['POST', 'event', '{"event_type":"log_info","event_data":{"message":"planted"}}'],
  [
    'POST',
    'v1/logs',
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"planted"}}]}]}]}',
  ],
  ['POST', 'backup'],
  ['POST', 'backup?description=planted'],
  ['POST', 'events/archive', '{"before_date":"2100-01-01T00:00:00Z"}'],
  ['DELETE', 'events/archived?older_than_days=0'],
  ['POST', 'alerts/test', '{"channel":"hook"}'],
  ['GET', 'utilization/sessions?csv_format=true&save_to_file=true&output_path=planted'],
]

/** Everything that a page can do to another address; gives what it could read. */
async function attack(page: Page, url: string): Promise<string[]> {
  return page.evaluate(`(${attackInPage})(${JSON.stringify({ url, reading, changing })})`)
}

describe('a page of another site in a real browser', () => {
  let browser: Browser
  let site: Server
  let siteUrl = ''
  beforeEach((context) => {
    if ('skip' in chromiumPath) context.skip(chromiumPath.skip)
  })
  beforeAll(async () => {
    if ('skip' in chromiumPath) return
    browser = await chromium.launch({
      executablePath: chromiumPath.path,
      args: ['--no-sandbox', `--host-resolver-rules=MAP ${evil} 127.0.0.1`],
    })
    site = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html')
      response.end('<!doctype html><body>win a robot</body>')
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => site.once('listening', resolve))
    siteUrl = `http://${evil}:${(site.address() as AddressInfo).port}/`
  })
  afterAll(async () => {
    await browser?.close()
    site?.closeAllConnections()
    site?.close()
  })

  it('reads what a receiver without these bounds would give away', async () => {
    const receiver = await startTestReceiver({
      flags: { cors_origins: '*', allowed_hosts: '["*"]', rate_limit_enabled: 'false' },
    })
    const page = await browser.newPage()
    try {
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ event_type: 'log_info', event_data: { message: secret } }),
      })
      await page.goto(siteUrl)
      expect((await attack(page, receiver.url)).filter((text) => text.includes(secret))).not.toEqual([])
    } finally {
      await page.close()
      await receiver.close()
    }
  })

  for (const store of ['sqlite', 'mongodb'] as const)
    it(`reads nothing and changes nothing, under another origin and by a foreign host, on ${store}`, async (context) => {
      const prepared = await prepareStore(store)
      if ('skip' in prepared) return context.skip(prepared.skip)
      const hook = createServer((_request, response) => response.end()).listen(0, '127.0.0.1')
      await new Promise((resolve) => hook.once('listening', resolve))
      let told = 0
      hook.on('request', () => told++)
      const receiver = await startTestReceiver({
        flags: {
          rate_limit_enabled: 'false',
          alert_channels: JSON.stringify({
            hook: { kind: 'webhook', url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/` },
          }),
          alert_private_hosts: '["127.0.0.1"]',
          ...prepared.flags,
        },
      })
      const page = await browser.newPage()
      try {
        await fetch(`${receiver.url}event`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ event_type: 'log_info', event_data: { message: secret } }),
        })
        const filesBefore = readdirSync(receiver.folder, { recursive: true }).sort()
        await page.goto(siteUrl)
        for (const url of [receiver.url, receiver.url.replace('127.0.0.1', 'localhost'), receiver.otlpUrl])
          expect(await attack(page, url.endsWith('/') ? url : `${url}/`)).toEqual([])

        // The name that led to the site leads to the receiver now: for the browser it is the same site.
        const rebound = receiver.url.replace('127.0.0.1', evil)
        const answer = await page.goto(`${rebound}events`)
        expect(answer!.status()).toBe(403)
        const seen = await attack(page, rebound)
        expect(seen.filter((text) => text.includes(secret))).toEqual([])
        for (const text of seen) expect(text).toMatch(/allowed_hosts|EVT_|The host name/)

        const events = Object.values(
          (await (await fetch(`${receiver.url}events?number=0&include_archived=true`)).json()) as object,
        )
        expect(events).toHaveLength(1)
        expect(events[0]).toMatchObject({ archived: false, event_data: { message: secret } })
        const files = readdirSync(receiver.folder, { recursive: true }).sort()
        // The store's own log comes and goes.
        const isOther = (name: unknown) => !/\.db(-wal|-shm|\.lock)?$/.test(String(name))
        expect(files.filter(isOther)).toEqual(filesBefore.filter(isOther))
        expect(told).toBe(0)
      } finally {
        await page.close()
        await receiver.close()
        hook.close()
        await prepared.stop()
      }
    })
})
