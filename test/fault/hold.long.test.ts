import { existsSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { encodeLogs } from '../support/otlp.ts'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { prepareStore } from '../support/store-flag.ts'
import { waitUntil } from '../support/wait.ts'
import { makeEvents } from '../support/workload.ts'

const KiB = 2 ** 10
const MiB = 2 ** 20
const json = 'application/json'
const protobuf = 'application/x-protobuf'
/** What nothing that somebody sends may hold the event loop for, ms. */
const limitMs = 250

interface Body {
  path: string
  type?: string
  bytes: () => Uint8Array
  status: number
}

function repeated(head: string, part: string, tail: string, bytes: number): Uint8Array {
  const count = Math.floor((bytes - head.length - tail.length) / part.length)
  return Buffer.from(head + part.repeat(count) + tail)
}

const eventHead = '{"event_type":"log_info","event_data":'
const event = (part: string, bytes: number) => () => repeated(`${eventHead}[`, part, '1]}', bytes)
const members = (count: number) => () =>
  Buffer.from(`${eventHead}{${Array.from({ length: count }, (_, i) => `"k${i}":${i}`).join(',')}}}`)
const logsHead = '{"resourceLogs":[{"scopeLogs":[{"logRecords":['
const record = JSON.stringify({
  timeUnixNano: '1700000000000000000',
  severityNumber: 9,
  body: { stringValue: 'an ordinary line of a log, of usual length' },
  attributes: [{ key: 'node', value: { stringValue: 'arm' } }],
})

const bodies: { [name: string]: Body } = {
  'a long text': {
    path: '/event',
    bytes: () => repeated(`${eventHead}"`, 'abcdefgh', '"}', 14 * MiB),
    status: 200,
  },
  'a text of escapes': {
    path: '/event',
    bytes: () => repeated(`${eventHead}"`, '\\u00e9', '"}', 14 * MiB),
    status: 200,
  },
  numbers: { path: '/event', bytes: event('0.1234567890123456,', 14 * MiB), status: 200 },
  'integers of 19 digits': { path: '/event', bytes: event('1234567890123456789,', 8 * MiB), status: 200 },
  'empty objects': { path: '/event', bytes: event('{},', MiB), status: 200 },
  'more objects than an event holds': { path: '/event', bytes: event('{},', 3 * MiB), status: 413 },
  'more values than an event holds': {
    path: '/event',
    bytes: event('{"a":1.5,"b":"c"},', 60 * MiB),
    status: 413,
  },
  'NaN as Python writes it': { path: '/event', bytes: event('NaN,', 14 * MiB), status: 413 },
  'very many members': { path: '/event', bytes: members(700_000), status: 200 },
  'integers in a body that is not large': {
    path: '/event',
    bytes: event('1234567890123456789,', 510 * KiB),
    status: 200,
  },
  'members of a body that is not large': { path: '/event', bytes: members(30_000), status: 200 },
  'NaN in a body that is not large': { path: '/event', bytes: event('NaN,', 510 * KiB), status: 200 },
  'an endless list': { path: '/event', bytes: () => repeated('', '[1,', '', 60 * MiB), status: 422 },
  'a selector of many ids': {
    path: '/events/query',
    bytes: () => repeated('{"event_id":{"$in":[', '"01ARZ3NDEKTSV4RRFFQ69G5FAV",', '"x"]}}', 8 * MiB),
    status: 422,
  },
  'ids that are none': {
    path: '/events/archive',
    bytes: () => repeated('{"event_ids":[', '1,', '1]}', 900 * KiB),
    status: 422,
  },
  'records in JSON': {
    path: '/v1/logs',
    bytes: () => repeated(logsHead, `${record},`, `${record}]}]}]}`, 24 * MiB),
    status: 200,
  },
  'one record of very many values in JSON': {
    path: '/v1/logs',
    bytes: () =>
      repeated(
        `${logsHead}{"timeUnixNano":"1700000000000000000","body":{"arrayValue":{"values":[`,
        '{"doubleValue":1.5},',
        '{"intValue":1}]}}}]}]}]}',
        14 * MiB,
      ),
    status: 200,
  },
  'empty records in JSON': {
    path: '/v1/logs',
    bytes: () => repeated(logsHead, '{},', '{}]}]}]}', 60 * MiB),
    status: 413,
  },
  'as many records as pass': {
    path: '/v1/logs',
    type: protobuf,
    bytes: () => encodeLogs(makeEvents(80_000)),
    status: 200,
  },
  'records of a body that is not large': {
    path: '/v1/logs',
    type: protobuf,
    bytes: () => encodeLogs(makeEvents(1_000)),
    status: 200,
  },
  'very many empty values in protobuf': {
    path: '/v1/logs',
    type: protobuf,
    bytes: () => logsOfRecord(bodyOfValues(480 * KiB)),
    status: 200,
  },
}

function field(number: number, payload: Uint8Array): Buffer {
  const length: number[] = []
  for (let rest = payload.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), payload])
}

/** A record's body: a list of so many values that say nothing. */
const bodyOfValues = (count: number) => field(5, field(5, Buffer.alloc(count * 2, Buffer.from([0x0a, 0]))))
const logsOfRecord = (record: Uint8Array) => field(1, field(2, field(2, record)))

describe.each(['sqlite', 'mongodb'] as const)('the event loop on %s', { timeout: 120_000 }, (name) => {
  let folder: string
  let holdFile: string
  let receiver: ReceiverProcess | undefined
  let skip: string | undefined
  let stop = async () => {}
  beforeAll(async () => {
    const store = await prepareStore(name)
    if ('skip' in store) {
      skip = store.skip
      return
    }
    stop = store.stop
    folder = await mkdtemp(join(tmpdir(), 'madsci-hold-'))
    holdFile = join(folder, 'hold')
    receiver = await spawnReceiver({
      cwd: folder,
      flags: {
        // Rules look at every event.
        alert_channels: JSON.stringify({ chat: { kind: 'webhook', url: 'http://127.0.0.1:9/' } }),
        alert_private_hosts: '["127.0.0.1"]',
        alert_rules: JSON.stringify([
          { name: 'any', selector: { 'event_data.code': { $gt: 3 } } },
          { name: 'slow', kind: 'slow_step', minutes: 5 },
        ]),
        server_url: 'http://127.0.0.1:0/',
        log_level: 'fatal',
        ...store.flags,
      },
      env: { HOLD_FILE: holdFile },
      nodeFlags: ['--import', join(import.meta.dirname, '../support/hold-preload.ts')],
    })
  })
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  afterAll(async () => {
    receiver?.kill('SIGTERM')
    await receiver?.exited
    await stop()
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  for (const [what, { path, type = json, bytes, status }] of Object.entries(bodies))
    it(`is free again within ${limitMs} ms: ${what}`, async () => {
      const body = bytes()
      rmSync(holdFile, { force: true })
      await sleep(50)
      const answer = await fetch(new URL(path, receiver!.url), {
        method: 'POST',
        headers: { 'content-type': type },
        body: body as Uint8Array<ArrayBuffer>,
      })
      const text = await answer.text()
      expect(answer.status, text.slice(0, 200)).toBe(status)
      await sleep(100)
      await waitUntil(async () => existsSync(holdFile), 'a turn that took time')
      const heldMs = Number(readFileSync(holdFile, 'utf8'))
      console.log(`${name}, ${what}: held for ${heldMs} ms`)
      expect(heldMs).toBeGreaterThan(0)
      expect(heldMs).toBeLessThan(limitMs)
    })
})
