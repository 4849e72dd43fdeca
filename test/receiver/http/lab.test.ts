import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { toLab } from '../../../receiver/src/http/lab.ts'
import type { LabAnswer } from '../../../receiver/src/http/lab-answer.ts'
import { buildPages } from '../../support/pages.ts'
import { startTestReceiver } from '../../support/receiver.ts'

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  buildPages({ ifAbsent: true })
  receiver = await startTestReceiver({
    flags: {
      manager_name: 'Night shift',
      alert_level: 'error',
      alert_rules: JSON.stringify([{ name: 'jam', selector: { event_type: 'node_error' } }]),
    },
  })
})
afterAll(() => receiver.close())

const ids = {
  arm: createEventId(),
  reader: createEventId(),
  workflow: createEventId(),
  step: createEventId(),
}
const lab = async () => (await (await fetch(`${receiver.url}data/lab`)).json()) as LabAnswer

async function send(event_type: string, event_data: object, source: object, log_level = 20): Promise<void> {
  const answer = await fetch(`${receiver.url}event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ event_type, event_data, source, log_level }),
  })
  expect(answer.status).toBe(200)
}

it('tells an empty laboratory from one that runs, by names', async () => {
  // The first report reads what is stored, which takes a moment.
  await expect.poll(async () => (await lab()).report_error, { timeout: 20_000 }).toBe(null)
  const empty = await lab()
  expect(empty).toMatchObject({ name: 'Night shift', is_store_up: true, total_events: 0, last_event: null })
  expect([empty.report_error, empty.nodes, empty.workflows]).toEqual([null, [], []])

  const { arm: node_id, workflow: workflow_id, step: step_id } = ids
  await send('node_start', { node_name: 'robot-arm' }, { node_id })
  await send('node_start', { node_name: 'reader' }, { node_id: ids.reader })
  await send('workflow_start', { name: 'assay 7', status: 'running' }, { workflow_id })
  await send('workflow_step_start', { name: 'transfer' }, { workflow_id, step_id })
  await send('node_error', { message: '<b>no tip</b>' }, { node_id }, 40)
  await expect.poll(async () => (await lab()).nodes.length, { timeout: 10_000 }).toBe(2)
  const { nodes, workflows, last_event } = await lab()
  expect(nodes.map(({ name, state }) => [name, state])).toEqual([
    ['reader', 'idle'],
    ['robot-arm', 'error'],
  ])
  expect(nodes[1]!.strip.at(-1)![0]).toBe('error')
  expect(workflows.map(({ name, state, step }) => [name, state, step])).toEqual([
    ['assay 7', 'busy', 'transfer'],
  ])
  expect(last_event).toMatchObject({ type: 'node_error', level: 40, message: '<b>no tip</b>' })
  const jam = async () => (await lab()).alerts?.find(({ rule }) => rule === 'jam')
  await expect.poll(jam, { timeout: 10_000 }).toMatchObject({
    node: 'robot-arm',
    message: '<b>no tip</b>',
    why: 'an event matched',
    event_id: last_event!.id,
  })
})

it('tells what a node does now, until it has done it', async () => {
  const [node_id, action_id] = [ids.reader, createEventId()]
  const tell = (type: string, status: string) =>
    send(type, { action_id, action_name: 'read_absorbance', status }, { node_id, action_id })
  await tell('action_start', 'running')
  const reader = async () => {
    const { nodes } = await lab()
    const { state, action } = nodes.find(({ name }) => name === 'reader')!
    return [state, action]
  }
  await expect.poll(reader, { timeout: 20_000 }).toEqual(['busy', 'read_absorbance'])
  await tell('action_complete', 'succeeded')
  await expect.poll(reader, { timeout: 20_000 }).toEqual(['idle', null])
})

it('shares an answer among those who ask within a second', async () => {
  const [one, two] = await Promise.all([lab(), lab()])
  expect(one.now).toBe(two.now)
})

it('draws no more pieces than a strip has room for, and of those that fall together the worst', () => {
  const startMs = Date.UTC(2026, 0, 1)
  const at = (ms: number) => new Date(startMs + ms).toISOString()
  const intervals = Array.from({ length: 36_000 }, (_, index) => ({
    state: index === 777 ? 'error' : index % 2 ? 'busy' : 'idle',
    cause: 'x',
    start_time: at(index * 100),
    end_time: at(index * 100 + 100),
    open: index === 35_999,
  }))
  const totals_us = { busy: 0, idle: 0, error: 0, down: 0, unknown: 0, wall: 0 }
  const { nodes } = toLab([{ kind: 'node', id: 'n', name: null, totals_us, intervals }], startMs)
  const { strip } = nodes[0]!
  expect(strip.length).toBeLessThanOrEqual(401)
  expect(strip.filter(([state]) => state === 'error')).toHaveLength(1)
  expect([strip[0]![1], strip.at(-1)![2]]).toEqual([0, 1])
})
