import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { startFileCollector } from '../support/collector.ts'
import { buildForeign, foreignRecord } from '../support/foreign-record.ts'
import { parseOtlpLines, textOf } from '../support/otlp-file.ts'
import { requestType } from '../support/otlp-reference.ts'
import { findPeer } from '../support/peer.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'
import { waitUntil } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startCollector(binary: string) {
  const { url, file, stop } = await startFileCollector(binary)
  cleanups.push(stop)
  return { url, read: () => readRecords(file) }
}

/** By id. */
async function readRecords(file: string): Promise<Map<string, unknown>> {
  const records = parseOtlpLines(await readFile(file, 'utf8').catch(() => ''))
  return new Map(records.map((one) => [textOf(one.record, 'log.record.uid')!, one]))
}

it.for(['sqlite', 'mongodb'] as const)(
  'foreign records through the receiver into a Collector are as those that went there straight, on %s',
  { timeout: 60_000 },
  async (store, context) => {
    const otelcol = findPeer('OTELCOL_BINARY')
    if ('skip' in otelcol) return context.skip(otelcol.skip)
    const prepared = await prepareStore(store)
    if ('skip' in prepared) return context.skip(prepared.skip)
    cleanups.push(prepared.stop)
    const [straight, through] = [await startCollector(otelcol.path), await startCollector(otelcol.path)]
    const receiver = await startTestReceiver({
      flags: {
        ...prepared.flags,
        fanout: JSON.stringify([{ name: 'collector', url: through.url, include: 'all' }]),
      },
    })
    cleanups.push(() => receiver.close())
    // Who receives a record that nobody observed has observed it; keys and texts with NUL no store keeps.
    const inputs = fc
      .sample(foreignRecord, { numRuns: 400, seed: 20_261_127 })
      .filter(({ record }) => record.timeUnixNano !== 0n || record.observedTimeUnixNano !== 0n)
    for (let i = 0; i < inputs.length; i += 50) {
      const body = Buffer.from(requestType.encode(buildForeign(inputs.slice(i, i + 50), i)).finish())
      for (const url of [receiver.otlpUrl, `${straight.url}/v1/logs`]) {
        const headers = { 'content-type': 'application/x-protobuf' }
        expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(200)
      }
    }
    const stored = () => receiver.metric.total('events_stored')
    expect(stored()).toBeGreaterThan(200)
    await waitUntil(async () => (await through.read()).size >= stored(), 'all records to arrive', 20_000)
    const [expected, actual] = [await straight.read(), await through.read()]
    expect(actual.size).toBe(stored())
    for (const [uid, record] of actual) expect({ uid, record }).toEqual({ uid, record: expected.get(uid) })
  },
)
