import { get as httpGet } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { wantsPage } from '../../../receiver/src/http/pages.ts'
import { buildPages } from '../../support/pages.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const ofChromium =
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7'
const ofFirefox = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  buildPages({ ifAbsent: true })
  receiver = await startTestReceiver()
})
afterAll(() => receiver.close())

/** As programs send it: fetch would add an Accept of its own. */
function ask(path: string, headers: { [name: string]: string } = {}) {
  return new Promise<{ status: number; headers: { [name: string]: unknown }; body: Buffer }>(
    (resolve, reject) => {
      httpGet(new URL(path, receiver.url), { headers }, (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('end', () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) }),
        )
      }).on('error', reject)
    },
  )
}

describe('what an Accept header asks for', () => {
  it.each([
    [ofChromium, true],
    [ofFirefox, true],
    ['TEXT/HTML', true],
    [undefined, false],
    ['', false],
    ['*/*', false],
    ['text/*', false],
    ['application/json', false],
    ['application/json, text/plain, */*', false],
    ['application/json, text/html;q=0.9', false],
    ['text/html;q=0, */*', false],
    ['text/html;q=x', false],
    [`${'a/b,'.repeat(100_000)}text/html`, false],
  ])('%.60s', (accept, isPage) => {
    expect(wantsPage(accept)).toBe(isPage)
  })
})

describe('GET /', () => {
  it('gives programs the definition as before, whatever they accept', async () => {
    const { body: definition } = await ask('definition')
    for (const accept of [undefined, '*/*', 'application/json', 'application/json, text/html;q=0.5']) {
      const answer = await ask('', accept === undefined ? {} : { accept })
      expect([answer.status, answer.headers['content-type'], answer.headers.vary]).toEqual([
        200,
        'application/json',
        'Accept',
      ])
      expect(answer.body).toEqual(definition)
    }
  })

  it('gives a browser a page that runs files of the receiver alone, also when it comes by a link of another site', async () => {
    const linked = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    for (const headers of [{}, linked]) {
      const { status, headers: answered, body } = await ask('', { accept: ofChromium, ...headers })
      expect(status).toBe(200)
      expect(answered['content-type']).toBe('text/html; charset=utf-8')
      expect(answered['content-security-policy']).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self'; .*require-trusted-types-for 'script'$/,
      )
      expect(answered['content-security-policy']).not.toContain('unsafe')
      expect(answered['x-frame-options']).toBe('DENY')
      expect(body.toString()).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|https?:/)
    }
    // A page of another site that reads, and does not only lead here.
    expect((await ask('', { accept: ofChromium, 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  })

  it('serves its files compressed, for ever, and nothing beside them', async () => {
    const html = (await ask('', { accept: ofChromium })).body.toString()
    const paths = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1]!)
    expect(paths).toHaveLength(3)
    for (const path of paths) {
      const plain = await ask(path)
      const compressed = await ask(path, { 'accept-encoding': 'gzip, br' })
      expect([plain.status, compressed.status, compressed.headers['content-encoding']]).toEqual([
        200,
        200,
        'gzip',
      ])
      expect(gunzipSync(compressed.body)).toEqual(plain.body)
      expect(plain.headers['cache-control']).toContain('immutable')
      expect(plain.headers['x-content-type-options']).toBe('nosniff')
    }
    for (const path of [
      'assets/',
      'assets/none.js',
      'assets/..%2findex.html',
      'assets/%2e%2e/%2e%2e/receiver.js',
    ])
      expect((await ask(path)).status, path).toBeGreaterThanOrEqual(400)
  })

  it('leaves JSON to everybody with pages=off', async () => {
    const off = await startTestReceiver({ flags: { pages: 'off' } })
    try {
      for (const path of ['e/x', 'data/lab', 'assets/icon.svg'])
        expect((await fetch(off.url + path)).status, path).toBe(404)
      const answer = await fetch(off.url, { headers: { accept: ofFirefox } })
      expect(answer.headers.get('content-type')).toBe('application/json')
    } finally {
      await off.close()
    }
  })
})
