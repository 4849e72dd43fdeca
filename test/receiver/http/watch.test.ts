import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { WatchAnswer } from '../../../receiver/src/http/watch-answer.ts'
import { buildPages } from '../../support/pages.ts'
import { startTestReceiver } from '../../support/receiver.ts'

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  buildPages({ ifAbsent: true })
  const rule = {
    selector: { log_level: 40 },
    group_by: ['source.node_id', 'event_data.workflow_id', 'event_data.kind'],
  }
  receiver = await startTestReceiver({ flags: { alert_rules: JSON.stringify([{ name: 'jams', ...rule }]) } })
})
afterAll(() => receiver.close())

async function send(event: object): Promise<void> {
  const answer = await fetch(`${receiver.url}event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event),
  })
  expect(answer.status).toBe(200)
}

it('tells what the ids in the group of an alert are called, and which have no name', async () => {
  const [node_id, other_id, workflow_id] = [createEventId(), createEventId(), createEventId()]
  await send({ event_type: 'node_start', source: { node_id }, event_data: { node_name: 'gripper' } })
  await send({ event_type: 'workflow_start', source: { workflow_id }, event_data: { name: 'night run' } })
  const event_data = { workflow_id, kind: node_id }
  for (const one of [node_id, other_id])
    await send({ event_type: 'node_error', log_level: 40, source: { node_id: one }, event_data })
  const names = async () => {
    const { alerts } = (await (await fetch(`${receiver.url}data/watch`)).json()) as WatchAnswer
    const jams = alerts.filter(({ rule }) => rule === 'jams')
    return Object.fromEntries(jams.map(({ group, names }) => [group['source.node_id'], names]))
  }
  // What is no id of a thing, by its path, has no name.
  await expect.poll(names, { timeout: 25_000 }).toEqual({
    [node_id]: { 'source.node_id': 'gripper', 'event_data.workflow_id': 'night run' },
    [other_id]: { 'source.node_id': null, 'event_data.workflow_id': 'night run' },
  })
})
