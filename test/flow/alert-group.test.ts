import { EventClient } from '@madsci-events/sdk'
import { createEventId, parseEvent } from '@madsci-events/sdk/event'
import { expect, it } from 'vitest'
import { createGrpcClient } from '../support/grpc.ts'
import { encodeLogs } from '../support/otlp.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'

const nodes = [createEventId(), createEventId()]
const groupBy = ['event_type', 'source.node_id', 'event_data.pump.name', 'event_data.steps', 'trace_id']
const dataOf = (node_id: string) => ({
  message: 'pump stuck',
  pump: { name: `pump of ${node_id}` },
  steps: [1, 2],
})

it.for(['sqlite', 'mongodb'] as const)(
  'events are grouped alike by any path, through whatever door they came, on %s',
  async (store, context) => {
    const prepared = await prepareStore(store)
    if ('skip' in prepared) return context.skip(prepared.skip)
    const receiver = await startTestReceiver({
      flags: {
        ...prepared.flags,
        grpc_port: '0',
        alert_rules: JSON.stringify([
          { name: 'pumps', selector: { event_type: 'node_error' }, group_by: groupBy, cooldown_seconds: 0 },
          { name: 'alert_level', group_by: groupBy, cooldown_seconds: 0 },
        ]),
      },
    })
    /** `RULE KEY` → events. */
    const groups = async () => {
      const answer = await fetch(`${receiver.url}alerts?number=100`)
      const alerts = (await answer.json()) as { rule: string; key: string; count: number }[]
      return Object.fromEntries(alerts.map(({ rule, key, count }) => [`${rule} ${key}`, count]))
    }
    const event = (node_id: string) => ({
      event_id: createEventId(),
      event_type: 'node_error' as const,
      log_level: 40 as const,
      source: { node_id },
      event_data: dataOf(node_id),
    })
    const events = () => nodes.map((node) => parseEvent(event(node)))
    const doors = {
      async rest() {
        for (const node of nodes) {
          const headers = { 'content-type': 'application/json' }
          await fetch(`${receiver.url}event`, { method: 'POST', headers, body: JSON.stringify(event(node)) })
        }
      },
      async sdk() {
        const client = new EventClient({ url: receiver.otlpUrl, name: 'pumps', spool: false })
        for (const node of nodes) client.log(event(node))
        await client.close()
      },
      async protobuf() {
        const headers = { 'content-type': 'application/x-protobuf' }
        await fetch(receiver.otlpUrl, { method: 'POST', headers, body: encodeLogs(events()) })
      },
      async grpc() {
        const client = createGrpcClient(receiver.grpcUrl)
        await client.export(encodeLogs(events()))
        client.close()
      },
    }
    const keys = nodes.map((node) => JSON.stringify(['node_error', node, `pump of ${node}`, '[1,2]', null]))
    try {
      for (const [index, [door, send]] of Object.entries(doors).entries()) {
        await send()
        const expected = keys.flatMap((key) => [
          [`pumps ${key}`, index + 1],
          [`alert_level ${key}`, index + 1],
        ])
        await expect.poll(groups, { message: door, timeout: 10_000 }).toEqual(Object.fromEntries(expected))
      }
    } finally {
      await receiver.close()
      await prepared.stop()
    }
  },
)
