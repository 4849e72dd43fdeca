import { createEventId, toEventJson } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { makeEvent } from '../../contract/event-store.contract.ts'
import { createGrpcClient } from '../../support/grpc.ts'
import { encodeLogs } from '../../support/otlp.ts'
import { requestType } from '../../support/otlp-reference.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { prepareStore } from '../../support/store-flag.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const uid = (text: string) => ({ key: 'log.record.uid', value: { stringValue: text } })
const body = (records: object[]) => ({ resourceLogs: [{ scopeLogs: [{ logRecords: records }] }] })
const record = (id: string, text: string, more: object = {}) => ({
  timeUnixNano: '1795000000000000000',
  body: { stringValue: text },
  attributes: [uid(id)],
  ...more,
})

describe('the id of a stored event with other content', () => {
  for (const backend of ['sqlite', 'mongodb'] as const) {
    it(`is counted and told at every door on ${backend}, and the stored one is kept`, async (context) => {
      const store = await prepareStore(backend)
      if ('skip' in store) return context.skip(store.skip)
      cleanups.push(store.stop)
      const receiver = await startTestReceiver({ flags: { grpc_port: '0', ...store.flags } })
      cleanups.push(() => receiver.close())
      const grpc = createGrpcClient(receiver.grpcUrl)
      cleanups.push(() => grpc.close())
      const conflicts = () => receiver.metric.total('events_conflicting')
      const send = async (given: object, type = 'application/json') => {
        const bytes =
          type === 'application/json'
            ? JSON.stringify(given)
            : Buffer.from(requestType.encode(requestType.fromObject(given)).finish())
        const answer = await fetch(receiver.otlpUrl, {
          method: 'POST',
          headers: { 'content-type': type },
          body: bytes,
        })
        expect(answer.status).toBe(200)
        return Buffer.from(await answer.arrayBuffer()).toString('latin1')
      }
      const told = 'other content than what is stored'

      const [a, b, c] = [createEventId(), 'uid-b', createEventId()]
      expect(await send(body([record(a, 'one'), record(b, 'two')]))).toBe('{}')
      // The same again, grouped otherwise, with a new neighbour: nothing to tell.
      expect(await send(body([record(b, 'two'), record(a, 'one'), record('new', 'three')]))).toBe('{}')
      expect(conflicts()).toBe(0)
      expect(await send(body([record(a, 'ONE'), record(b, 'two')]))).toContain(
        '1 record has other content than what is stored under its id, which',
      )
      expect(conflicts()).toBe(1)
      expect(
        await send(body([record(b, 'two', { severityNumber: 17 })]), 'application/x-protobuf'),
      ).toContain(told)
      expect(conflicts()).toBe(2)
      // Twice in one request: the first is stored.
      expect(await send(body([record('twice', 'x'), record('twice', 'y')]))).toContain(told)
      expect(conflicts()).toBe(3)
      const message = requestType.encode(requestType.fromObject(body([record(a, 'by gRPC')]))).finish()
      await grpc.export(message)
      expect(conflicts()).toBe(4)
      const shown = (await (await fetch(`${receiver.url}event/${a}`)).json()) as { event_data: unknown }
      expect(JSON.stringify(shown)).toContain('"one"')

      // The SDK's own records, and REST.
      const event = { ...makeEvent('own'), event_id: c }
      const own = (data: string) => encodeLogs([{ ...event, event_data: { data } }])
      const export_ = async (bytes: Uint8Array<ArrayBuffer>) => {
        const headers = { 'content-type': 'application/x-protobuf' }
        const answer = await fetch(receiver.otlpUrl, { method: 'POST', headers, body: bytes })
        return Buffer.from(await answer.arrayBuffer()).toString('latin1')
      }
      expect([await export_(own('1')), await export_(own('1')), conflicts()]).toEqual(['', '', 4])
      expect(await export_(own('2'))).toContain(told)
      const rest = toEventJson({ ...event, event_data: { data: '3' } }).replace('"_id"', '"event_id"')
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: rest,
      })
      expect(conflicts()).toBe(6)
      // What is stored may be large: the look at one such event is the last of its request.
      const large = JSON.stringify({ event_id: 'large', event_data: { message: 'x'.repeat(2 << 20) } })
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: large,
      })
      const many = Array.from({ length: 200 }, (_, number) => record('large', `${number}`))
      expect(await send(body(many))).toContain(
        '1 record has other content than what is stored under its id, which',
      )
      expect(conflicts()).toBe(7)
      // Without a time it is another moment each time, and says the same.
      const timeless = body([{ body: { stringValue: 'now' }, attributes: [uid('timeless')] }])
      await send(timeless)
      expect(await send({ ...timeless, x: 1 })).not.toContain(told)
    })
  }
})
