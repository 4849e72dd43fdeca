import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeLogs } from '../support/otlp.ts'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { makeEvents } from '../support/workload.ts'

const MiB = 2 ** 20
// Just below the limit of a body.
const honestEvents = 81_000
/** What the Kubernetes sample and the compose files give the receiver. */
const limitBytes = 1024 * MiB

const highWater = (pid: number) =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024

const json = 'application/json'
const protobuf = 'application/x-protobuf'

interface Body {
  path: string
  type: string
  encoding?: string
  bytes: Uint8Array
  /** Statuses of which one must come in the end; 429 and 503 are answered by sending again. */
  statuses: number[]
  /** How many at once; 16 if not given. */
  most?: number
}

function repeated(head: string, part: string, tail: string, bytes: number): Uint8Array {
  const count = Math.floor((bytes - head.length - tail.length) / part.length)
  return Buffer.from(head + part.repeat(count) + tail)
}

function field(number: number, payload: Uint8Array): Buffer {
  const length: number[] = []
  for (let rest = payload.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), payload])
}

const shortRecord = field(2, field(5, field(1, Buffer.from('x'))))

const event = (data: string) => `{"event_type":"log_info","event_data":${data}`
const bodies: { [name: string]: () => Body } = {
  'empty objects, 63 MiB': () => ({
    path: '/event',
    type: json,
    bytes: repeated(event('['), '{},', '{}]}', 63 * MiB),
    statuses: [413],
  }),
  'empty objects behind an integer of 19 digits, 8 MiB': () => ({
    path: '/event',
    type: json,
    bytes: repeated(event('[1234567890123456789,'), '{},', '{}]}', 8 * MiB),
    statuses: [200, 413],
  }),
  'numbers, 14 MiB': () => ({
    path: '/event',
    type: json,
    bytes: repeated(event('['), '1.5,', '1]}', 14 * MiB),
    statuses: [200, 413],
  }),
  'a selector of 60 MB': () => ({
    path: '/events/query',
    type: json,
    bytes: repeated('{"a":{"$in":[', '{"b":1},', '1]}}', 60 * MiB),
    statuses: [413, 422],
  }),
  'empty records, gzip of one KiB': () => ({
    path: '/v1/logs',
    type: protobuf,
    encoding: 'gzip',
    bytes: gzipSync(field(1, field(2, Buffer.alloc(MiB, Buffer.from([0x12, 0]))))),
    statuses: [413],
  }),
  'the most records that are taken, each of a few bytes': () => ({
    path: '/v1/logs',
    type: protobuf,
    bytes: field(1, field(2, Buffer.concat(Array.from({ length: 200_000 }, () => shortRecord)))),
    statuses: [200],
    // Sixteen would store 3 million events.
    most: 4,
  }),
  'a resource of 1 MiB over 100,000 records': () => ({
    path: '/v1/logs',
    type: protobuf,
    bytes: field(
      1,
      Buffer.concat([
        field(
          1,
          field(1, Buffer.concat([field(1, Buffer.from('k')), field(2, field(1, Buffer.alloc(MiB, 97)))])),
        ),
        field(2, Buffer.concat(Array.from({ length: 100_000 }, () => shortRecord))),
      ]),
    ),
    statuses: [413],
  }),
  'OTLP/JSON of empty records': () => ({
    path: '/v1/logs',
    type: json,
    bytes: repeated('{"resourceLogs":[{"scopeLogs":[{"logRecords":[', '{},', '{}]}]}]}', 60 * MiB),
    statuses: [413],
  }),
  'zeros that inflate to the limit': () => ({
    path: '/v1/logs',
    type: protobuf,
    encoding: 'gzip',
    bytes: gzipSync(Buffer.alloc(64 * MiB)),
    statuses: [400],
  }),
  'nested lists': () => ({
    path: '/event',
    type: json,
    bytes: Buffer.from(event('['.repeat(10 * MiB))),
    statuses: [413, 422],
  }),
  'honest records, 63 MiB of protobuf': () => ({
    path: '/v1/logs',
    type: protobuf,
    bytes: encodeLogs(makeEvents(honestEvents)),
    statuses: [200],
    most: 3,
  }),
}

describe('memory of the whole receiver', { timeout: 600_000 }, () => {
  let folder: string
  let receiver: ReceiverProcess
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-memory-'))
    receiver = await spawnReceiver({
      cwd: folder,
      flags: { server_url: 'http://127.0.0.1:0/', log_level: 'fatal' },
    })
  })
  afterEach(async () => {
    receiver.kill('SIGTERM')
    await receiver.exited
    await rm(folder, { recursive: true, force: true })
  })

  /** Until it is taken or refused for good. */
  async function send({ path, type, encoding, bytes }: Body): Promise<number> {
    for (let attempt = 0; attempt < 600; attempt++) {
      try {
        const answer = await fetch(new URL(path, receiver.url), {
          method: 'POST',
          headers: { 'content-type': type, ...(encoding && { 'content-encoding': encoding }) },
          body: bytes as Uint8Array<ArrayBuffer>,
        })
        await answer.arrayBuffer()
        if (answer.status !== 429 && answer.status !== 503) return answer.status
      } catch {
        // Cut off in the middle of an answer that is no.
      }
      await sleep(500)
    }
    return 0
  }

  for (const [name, make] of Object.entries(bodies))
    for (const isAlone of [true, false])
      it(`stays within 1 GiB: ${name}, ${isAlone ? 'alone' : 'many at once'}`, async () => {
        const body = make()
        const count = isAlone ? 1 : (body.most ?? 16)
        const statuses = await Promise.all(Array.from({ length: count }, () => send(body)))
        for (const status of statuses) expect(body.statuses).toContain(status)
        const bytes = highWater(receiver.pid)
        console.log(`${name} × ${count}: at most ${Math.round(bytes / MiB)} MiB`)
        expect(bytes).toBeLessThan(limitBytes)
      })
})
