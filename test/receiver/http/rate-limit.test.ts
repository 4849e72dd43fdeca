import rateLimit from '@fastify/rate-limit'
import { fastify } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { createRateLimit } from '../../../receiver/src/http/rate-limit.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const options = {
  requests: 5,
  windowSeconds: 60,
  shortRequests: 3,
  shortWindowSeconds: 1,
  cleanupIntervalSeconds: 300,
  exemptAddresses: ['127.0.0.1'],
}

describe('rate limit', () => {
  it('No window of the given length holds more requests of one address than its limit, and refused requests do not count.', () => {
    const limit = createRateLimit({ ...options, requests: 7 })
    const passed: number[] = []
    for (let step = 0; step < 4000; step++) {
      const now = 1000 + step * 0.05
      if (!limit.ask('a', now)!.refused) passed.push(now)
    }
    for (const start of passed) {
      const within = (seconds: number) =>
        passed.filter((time) => time >= start && time < start + seconds).length
      expect(within(1)).toBeLessThanOrEqual(3)
      expect(within(60)).toBeLessThanOrEqual(7)
    }
    // Three at once, three a second later, one: and the same again when the first leaves the window.
    expect(passed.slice(0, 8).map((time) => Math.round((time - 1000) * 100) / 100)).toEqual([
      0, 0.05, 0.1, 1, 1.05, 1.1, 2, 60,
    ])
  })

  it('The headers say what is left and when the oldest request leaves the long window.', () => {
    const limit = createRateLimit(options)
    expect(limit.ask('a', 1000.5)!.headers).toEqual({
      'x-ratelimit-limit': '5',
      'x-ratelimit-remaining': '4',
      'x-ratelimit-reset': '1060',
      'x-ratelimit-burst-limit': '3',
      'x-ratelimit-burst-remaining': '2',
    })
    limit.ask('a', 1000.6)
    limit.ask('a', 1000.7)
    expect(limit.ask('a', 1000.8)).toEqual({
      headers: {
        'x-ratelimit-limit': '5',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '1060',
        'x-ratelimit-burst-limit': '3',
        'x-ratelimit-burst-remaining': '0',
      },
      refused: {
        message: 'Rate limit exceeded: 3 requests per 1 seconds (burst limit)',
        retryAfterSeconds: 1,
      },
    })
    limit.ask('a', 1002)
    limit.ask('a', 1003)
    expect(limit.ask('a', 1010)).toEqual({
      headers: { 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1060' },
      refused: { message: 'Rate limit exceeded: 5 requests per 60 seconds', retryAfterSeconds: 51 },
    })
    const noShort = createRateLimit({ ...options, shortRequests: undefined })
    expect(Object.keys(noShort.ask('a', 1)!.headers)).toHaveLength(3)
  })

  it('Exempt addresses get no headers.', () => {
    const limit = createRateLimit(options)
    for (let i = 0; i < 100; i++) expect(limit.ask('127.0.0.1', 1000)).toBeUndefined()
  })

  it('No more than 20,000 addresses are remembered: of more, those that have asked least lately go.', () => {
    const limit = createRateLimit(options)
    for (let i = 0; i < 3; i++) limit.ask('kept', 1000)
    for (let i = 0; i < 100_000; i++) {
      limit.ask(`2001:db8:${i.toString(16)}`, 1000)
      if (i % 10_000 === 0) expect(limit.ask('kept', 1000)!.refused).toBeDefined()
    }
    expect(limit.size).toBeLessThanOrEqual(20_000)
  })

  it('Addresses that ask no more are forgotten.', () => {
    const limit = createRateLimit(options)
    for (let i = 0; i < 100; i++) limit.ask(`10.0.0.${i}`, 1000 + i)
    expect(limit.size).toBe(100)
    limit.ask('a', 1400)
    expect(limit.size).toBe(1)
  })

  it('counts reads and control routes, known or not, and neither the doors of events nor the probes', async () => {
    const flags = { rate_limit_exempt_ips: '[]', rate_limit_requests: '3', rate_limit_short_requests: 'none' }
    const receiver = await startTestReceiver({ flags })
    try {
      const post = () =>
        fetch(`${receiver.url}event`, {
          method: 'POST',
          body: '{}',
          headers: { 'content-type': 'application/json' },
        })
      for (let i = 0; i < 10; i++) {
        const answer = await post()
        expect(answer.status).toBe(200)
        expect(answer.headers.get('x-ratelimit-limit')).toBeNull()
        for (const probe of ['health', 'health/live', 'health/ready', 'metrics'])
          expect((await fetch(receiver.url + probe)).status, probe).toBe(200)
      }
      expect((await fetch(`${receiver.url}events`)).headers.get('x-ratelimit-remaining')).toBe('2')
      expect((await fetch(`${receiver.url}settings`)).headers.get('x-ratelimit-remaining')).toBe('1')
      expect((await fetch(`${receiver.url}nowhere`)).headers.get('x-ratelimit-remaining')).toBe('0')
      const refused = await fetch(`${receiver.url}events/query`, { method: 'POST', body: '{}' })
      expect(refused.status).toBe(429)
      expect(await refused.json()).toEqual({ detail: 'Rate limit exceeded: 3 requests per 60 seconds' })
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50)
      expect(refused.headers.get('x-ratelimit-burst-limit')).toBeNull()
      expect((await post()).status).toBe(200)
    } finally {
      await receiver.close()
    }
  })

  it('is not there for the machine itself, nor when it is switched off', async () => {
    for (const flags of [{}, { rate_limit_enabled: 'false', rate_limit_exempt_ips: '[]' }]) {
      const receiver = await startTestReceiver({ flags })
      try {
        expect((await fetch(`${receiver.url}events`)).headers.get('x-ratelimit-limit')).toBeNull()
      } finally {
        await receiver.close()
      }
    }
  })
})

// Why rate-limit.ts is no plugin: when this fails, it may be one.
describe('what @fastify/rate-limit does', () => {
  it('lets nearly twice the limit pass at the border of its one window', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 })
    try {
      const app = fastify()
      await app.register(rateLimit, { max: 5, timeWindow: 60_000 })
      app.get('/', async () => 'ok')
      const ask = async () => (await app.inject('/')).statusCode === 200
      const passed: boolean[] = []
      passed.push(await ask())
      vi.setSystemTime(1_059_000)
      for (let i = 0; i < 10; i++) passed.push(await ask())
      vi.setSystemTime(1_060_000)
      for (let i = 0; i < 10; i++) passed.push(await ask())
      // Within a second, nine.
      expect(passed.slice(1).filter((one) => one)).toHaveLength(9)
      await app.close()
    } finally {
      vi.useRealTimers()
    }
  })
})
