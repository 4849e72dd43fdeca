import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Event, findDefect, fromDocument, type Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../receiver/src/log.ts'
import { toLogsDataText } from '../../../receiver/src/otlp/encode-json.ts'
import { encodeProtobuf } from '../../../receiver/src/otlp/encode-protobuf.ts'
import { groupRecords } from '../../../receiver/src/otlp/group.ts'
import { decodeJson } from '../../../receiver/src/otlp/json.ts'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { collect, readDocument } from '../../contract/event-store.contract.ts'
import { buildForeign, foreignRecord } from '../../support/foreign-record.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'
import { requestType } from '../../support/otlp-reference.ts'

/** What a standard decoder reads, one entry a record; attributes by their keys, for they have no order. */
function read(bytes: Uint8Array): object[] {
  const request = requestType.toObject(requestType.decode(bytes), { longs: String, bytes: String }) as {
    resourceLogs?: { resource?: object; schemaUrl?: string; scopeLogs: { logRecords?: object[] }[] }[]
  }
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted)
    if (typeof value === 'number') return Object.is(value, -0) ? '-0' : value
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => {
        if (key !== 'attributes') return [key, sorted(member)]
        const list = (member as { key?: string }[]).map(sorted) as { key?: string }[]
        return [key, list.sort((a, b) => ((a.key ?? '') < (b.key ?? '') ? -1 : 1))]
      }),
    )
  }
  return (request.resourceLogs ?? []).flatMap(({ scopeLogs, ...resource }) =>
    scopeLogs.flatMap(({ logRecords = [], ...scope }) =>
      logRecords.map((one) => sorted(withoutDefaults({ resource, scope, record: one })) as object),
    ),
  )
}

/** Zeros, empty texts, and messages without a field stand for nothing; a body is there or not. */
function withoutDefaults(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => withoutDefaults(one))
  if (typeof value !== 'object' || value === null) return value
  const isAny = key === 'value' || key === 'body' || key === 'values'
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, member]) => [name, withoutDefaults(member, name)] as const)
      .filter(([name, member]) => {
        if (isAny || name === 'body' || name === 'value') return true
        if (member === 0 || member === '0' || member === '') return false
        return typeof member !== 'object' || Object.keys(member as object).length > 0
      }),
  )
}

const options = { receivedUnixNano: 1_795_000_000_123_456_000n, maxBodyBytes: 64 << 20 }
const found = await findMongo()
const reason = 'skip' in found ? found.skip : ''

describe('what came by OTLP leaves as it came', () => {
  let mongod: Mongod | undefined
  let folder: string
  const stores: EventStore[] = []
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-pass-on-'))
    stores.push(await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog }))
    if (reason) return console.warn(`without MongoDB: ${reason}`)
    mongod = await startMongod()
    stores.push(await openMongoStore({ url: mongod.url, databaseName: freshDatabaseName(), log: silentLog }))
  })
  afterAll(async () => {
    for (const store of stores) await store.close()
    await mongod?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('any record: request ▶ event ▶ either store ▶ request equals itself, and makes the same event again', async () => {
    let number = 0
    let compared = 0
    await fc.assert(
      fc.asyncProperty(fc.array(foreignRecord, { minLength: 1, maxLength: 20 }), async (inputs) => {
        const first = number
        number += inputs.length
        const sent = Buffer.from(requestType.encode(buildForeign(inputs, first)).finish())
        const { events } = decodeProtobuf(sent, options)
        const kept = events.filter((event) => findDefect(event) === undefined)
        const keptIds = new Set(kept.map(({ event_id }) => event_id))
        const expected = read(sent).filter((one) => keptIds.has(idOf(one)))
        for (const store of stores) {
          await store.write(kept)
          const stored = await collect(store, { selector: parseSelector({ _id: { $in: [...keptIds] } }) })
          const back = new Map(
            stored.map((one) => {
              const event: Event = fromDocument(readDocument(one) as { [key: string]: Value })
              return [event.event_id, event]
            }),
          )
          const again = kept.map(({ event_id }) => back.get(event_id)!)
          const groups = groupRecords(again, {})
          const passed = encodeProtobuf(groups)
          const actual = read(passed)
          for (const [i, one] of actual.entries()) {
            const { timeUnixNano, observedTimeUnixNano } = inputs[Number(idOf(one).slice(4)) - first]!.record
            const isUndated = timeUnixNano === 0n && observedTimeUnixNano === 0n
            // Who receives a record that nobody observed has observed it.
            const observed = isUndated ? { observedTimeUnixNano: String(options.receivedUnixNano) } : {}
            const wanted = expected[i] as { record: object }
            expect(one).toEqual({ ...wanted, record: { ...wanted.record, ...observed } })
            compared++
          }
          expect(actual).toHaveLength(expected.length)
          const others = { ...options, receivedUnixNano: 1n }
          expect(decodeProtobuf(passed, others).events).toEqual(kept)
          expect(decodeJson(Buffer.from(toLogsDataText(groups)), others).events).toEqual(kept)
        }
      }),
      { numRuns: 100 },
    )
    expect(compared).toBeGreaterThan(500)
  }, 120_000)
})

function idOf(one: object): string {
  const { record } = one as { record: { attributes: { key: string; value: { stringValue: string } }[] } }
  return record.attributes.find(({ key }) => key === 'log.record.uid')!.value.stringValue
}
