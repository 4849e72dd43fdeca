import { parseRetryAfter } from '@madsci-events/sdk/event'
import { afterEach, expect, it } from 'vitest'
import type { Destination } from '../../../receiver/src/fanout/destination.ts'
import { sendBatch } from '../../../receiver/src/fanout/send.ts'
import { foreignReplies } from '../../support/foreign-reply.ts'
import { startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { findFreePort } from '../../support/process.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const destinationOf = (url: string): Destination => ({
  name: 'one',
  url,
  headers: {},
  protocol: 'http/protobuf',
  compression: 'none',
  include: 'rest',
  from: 'now',
  selector: undefined,
  batchEvents: 10,
  timeoutMs: 300,
})
const send = (url: string) => sendBatch(destinationOf(url), new Uint8Array(), new AbortController().signal)

it('every status, a cut, silence and a closed port have their outcome', async () => {
  const endpoint = await startOtlpEndpoint()
  cleanups.push(() => endpoint.close())
  for (const [status, kind] of [
    [200, 'delivered'],
    [202, 'delivered'],
    [204, 'delivered'],
    [301, 'retry'],
    [400, 'refused'],
    [401, 'retry'],
    [403, 'retry'],
    [404, 'retry'],
    [413, 'refused'],
    [415, 'retry'],
    [422, 'refused'],
    [429, 'retry'],
    [500, 'retry'],
    [502, 'retry'],
    [503, 'retry'],
    [504, 'retry'],
    ['cut', 'retry'],
    ['hang', 'retry'],
  ] as const) {
    endpoint.script.push({ status, headers: status === 301 ? { location: 'http://127.0.0.1:9/' } : {} })
    expect(await send(endpoint.url), String(status)).toMatchObject({ kind })
  }
  endpoint.script.push({ status: 200, body: Buffer.alloc(6 << 20, 0xff) })
  expect(await send(endpoint.url)).toMatchObject({ kind: 'retry' })
  expect(await send(`http://127.0.0.1:${await findFreePort()}`)).toMatchObject({ kind: 'retry' })
})

it('Retry-After is seconds or a date, at most five minutes', () => {
  const nowMs = Date.parse('2026-11-24T00:00:00Z')
  expect(parseRetryAfter(null)).toBeUndefined()
  expect(parseRetryAfter('soon')).toBeUndefined()
  expect(parseRetryAfter('7')).toBe(7000)
  expect(parseRetryAfter('Tue, 24 Nov 2026 00:00:10 GMT', nowMs)).toBe(10_000)
  expect(parseRetryAfter('Mon, 23 Nov 2026 00:00:10 GMT', nowMs)).toBe(0)
  expect(parseRetryAfter('99999')).toBe(300_000)
})

it('a 2xx that is no answer of OTLP is tried again, and what came is told without secrets', async () => {
  const endpoint = await startOtlpEndpoint()
  cleanups.push(() => endpoint.close())
  for (const [body, type, shown] of foreignReplies) {
    endpoint.script.push({ body, headers: { 'content-type': type } })
    const outcome = await send(endpoint.url)
    expect(outcome, type).toMatchObject({ kind: 'retry', reason: expect.stringContaining(shown) })
    expect((outcome as { reason: string }).reason.length).toBeLessThan(600)
  }
  endpoint.script.push({ body: 'Hello s3cret-token', headers: { 'content-type': 'text/plain' } })
  const destination = { ...destinationOf(endpoint.url), headers: { authorization: 'Bearer s3cret-token' } }
  const outcome = await sendBatch(destination, new Uint8Array(), new AbortController().signal)
  expect(JSON.stringify(outcome)).not.toContain('s3cret')
})
