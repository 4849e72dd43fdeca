import cors from '@fastify/cors'
import { fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { startTestReceiver } from '../../support/receiver.ts'

async function withOrigins(origins: string | undefined, use: (url: string) => Promise<void>) {
  const receiver = await startTestReceiver({ flags: origins === undefined ? {} : { cors_origins: origins } })
  try {
    await use(receiver.url)
  } finally {
    await receiver.close()
  }
}
const origin = 'https://page.example'
const preflight = (url: string, method: string) =>
  fetch(`${url}events/archived`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'X-A, content-type',
    },
  })

describe('CORS', () => {
  it('is off unless somebody sets it', async () => {
    await withOrigins(undefined, async (url) => {
      const answer = await fetch(`${url}health`, { headers: { origin } })
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
      expect((await preflight(url, 'DELETE')).status).toBe(403)
    })
  })

  it('answers as the original does when every origin may', async () => {
    await withOrigins('*', async (url) => {
      for (const path of ['health', 'nowhere', 'event/unknown']) {
        const { headers } = await fetch(url + path, { headers: { origin } })
        expect(headers.get('access-control-allow-origin'), path).toBe('*')
        expect(headers.get('vary'), path).toBe('Origin')
      }
      const answer = await preflight(url, 'DELETE')
      expect([answer.status, await answer.text()]).toEqual([200, 'OK'])
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
      expect(answer.headers.get('access-control-allow-methods')).toBe(
        'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY',
      )
      expect(answer.headers.get('access-control-allow-headers')).toBe('X-A, content-type')
      expect(answer.headers.get('access-control-max-age')).toBe('600')
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
      const wrong = await preflight(url, 'FOO')
      expect([wrong.status, await wrong.text()]).toEqual([400, 'Disallowed CORS method'])
      expect((await fetch(`${url}events`, { method: 'OPTIONS' })).status).toBe(405)
    })
  })

  it('lets only the origins of a list', async () => {
    await withOrigins(`["${origin}"]`, async (url) => {
      const mine = await fetch(`${url}health`, { headers: { origin } })
      expect(mine.headers.get('access-control-allow-origin')).toBe(origin)
      const other = await fetch(`${url}health`, { headers: { origin: 'https://other.example' } })
      expect(other.headers.get('access-control-allow-origin')).toBeNull()
      expect((await preflight(url, 'GET')).status).toBe(200)
    })
  })
})

// Why cors.ts is no plugin: when this fails, it may be one.
describe('what @fastify/cors does', () => {
  it('answers a preflight for any method, and OPTIONS of any path, with 204', async () => {
    const app = fastify()
    await app.register(cors, { origin: [origin], methods: ['GET'], strictPreflight: false })
    const headers = { origin, 'access-control-request-method': 'FOO' }
    const wrong = await app.inject({ method: 'OPTIONS', url: '/events', headers })
    expect([wrong.statusCode, wrong.body]).toEqual([204, ''])
    expect((await app.inject({ method: 'OPTIONS', url: '/nowhere' })).statusCode).toBe(204)
    await app.close()
  })
})

describe('the API for people', () => {
  it('needs nothing from elsewhere, and /redoc leads there', async () => {
    await withOrigins(undefined, async (url) => {
      const answer = await fetch(`${url}redoc`)
      expect(answer.status).toBe(200)
      expect(answer.url).toBe(`${url}docs`)
      const html = await answer.text()
      expect(html).toContain('swagger-ui')
      const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!)
      expect(links.length).toBeGreaterThan(2)
      for (const link of links) expect((await fetch(new URL(link, answer.url))).status, link).toBe(200)
      for (const link of links) expect(new URL(link, answer.url).origin).toBe(new URL(url).origin)
    })
  })
})
