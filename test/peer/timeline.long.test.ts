import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createEventId, fromTimestamp } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { findPeer, spawnPeer } from '../support/peer.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'
import { type PlainEvent, plainTimeline } from '../support/timeline-reference.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** What MADSci's nodes and workcells say, with MADSci's own types, some of it as typed events and some as texts with a type. */
const script = `
import sys, time
from madsci.client.event_client import EventClient
from madsci.common.types.action_types import ActionRequest, ActionStatus
from madsci.common.types.auth_types import OwnershipInfo
from madsci.common.types.base_types import Error
from madsci.common.types.event_types import Event, EventType
from madsci.common.types.node_types import NodeStatus
from madsci.common.types.step_types import Step, StepDefinition
from madsci.common.types.workflow_types import Workflow, WorkflowStatus
url, node_id, workcell_id, experiment_id = sys.argv[1:5]
client = EventClient(event_server_url=url)
node = OwnershipInfo(node_id=node_id, workcell_id=workcell_id)
cell = OwnershipInfo(workcell_id=workcell_id, experiment_id=experiment_id)
def say(event_type, data, source):
    client.log(Event(event_type=event_type, event_data=data, source=source))
    time.sleep(0.05)
def status(**flags):
    say(EventType.NODE_STATUS_UPDATE, NodeStatus(**flags).model_dump(mode="json"), node)
say(EventType.WORKCELL_START, {"workcell_name": "cell", "workcell_id": workcell_id}, cell)
status(initializing=True)
say(EventType.NODE_START, {"node_name": "arm", "node_id": node_id}, node)
status()
say(EventType.EXPERIMENT_START, {"experiment_id": experiment_id}, cell)
for number in range(3):
    wf = Workflow(name="assay")
    wf.ownership_info = cell
    say(EventType.WORKFLOW_START, wf.model_dump(mode="json"), cell)
    step = Step(name="grab", action="grab", node="arm")
    client.info("step begins", event_type=EventType.WORKFLOW_STEP_START, workflow_id=wf.workflow_id, step_id=step.step_id, node="arm")
    time.sleep(0.05)
    request = ActionRequest(action_name="grab")
    ids = OwnershipInfo(node_id=node_id, workcell_id=workcell_id, workflow_id=wf.workflow_id, step_id=step.step_id)
    say(EventType.ACTION_STATUS_CHANGE, request.running().model_dump(mode="json"), ids)
    status(busy=True, running_actions={request.action_id})
    time.sleep(0.2)
    if number == 1:
        say(EventType.NODE_ERROR, Error(message="jammed").model_dump(mode="json"), node)
        say(EventType.ACTION_STATUS_CHANGE, request.failed().model_dump(mode="json"), ids)
        client.error("step failed", event_type=EventType.WORKFLOW_STEP_FAILED, workflow_id=wf.workflow_id, step_id=step.step_id)
        time.sleep(0.05)
        wf.status = WorkflowStatus(failed=True)
        status(errored=True)
        time.sleep(0.1)
        status()
    else:
        say(EventType.ACTION_STATUS_CHANGE, request.succeeded().model_dump(mode="json"), ids)
        status()
        client.info("step ends", event_type=EventType.WORKFLOW_STEP_COMPLETE, workflow_id=wf.workflow_id, step_id=step.step_id)
        time.sleep(0.05)
        wf.status = WorkflowStatus(completed=True)
    say(EventType.WORKFLOW_COMPLETE, wf.model_dump(mode="json"), cell)
say(EventType.EXPERIMENT_COMPLETE, {"experiment_id": experiment_id}, cell)
say(EventType.NODE_STOP, {}, node)
say(EventType.WORKCELL_STOP, {}, cell)
deadline = time.time() + 20
while time.time() < deadline:
    events = client.get_events(number=200, level=0)
    if any(e.event_type == EventType.WORKCELL_STOP for e in events.values()) and len(events) >= 34: break
    time.sleep(0.1)
print("RESULT", len(events))
`

describe("a history of MADSci's own client and types", () => {
  for (const backend of ['sqlite', 'mongodb'] as const) {
    it(`gives on ${backend} the timeline of the plain reference, conserved, with nothing overlooked`, async (context) => {
      const peer = findPeer('MADSCI_PEER')
      if ('skip' in peer) return context.skip(peer.skip)
      const store = await prepareStore(backend)
      if ('skip' in store) return context.skip(store.skip)
      cleanups.push(store.stop)
      const receiver = await startTestReceiver({ flags: store.flags })
      cleanups.push(() => receiver.close())
      const [node_id, workcell_id, experiment_id] = [createEventId(), createEventId(), createEventId()]
      const file = join(receiver.folder, 'lab.py')
      await writeFile(file, script)
      const client = spawnPeer(
        peer.path,
        ['python', file, receiver.url, node_id, workcell_id, experiment_id],
        {
          cwd: receiver.folder,
          env: { TZ: 'UTC' },
        },
      )
      cleanups.push(() => client.stop())
      await client.exited
      expect(client.output).toContain('RESULT')

      // biome-ignore lint/suspicious/noExplicitAny: an answer is looked into as it is
      const get = async (path: string): Promise<any> => (await fetch(receiver.url + path)).json()
      const documents = Object.values(await get('events?number=0')) as {
        _id: string
        event_type: string
        event_timestamp: string
        source: PlainEvent['source']
        event_data: PlainEvent['data']
      }[]
      const events = documents.map(
        ({ _id, event_type, event_timestamp, source, event_data }): PlainEvent => ({
          id: _id,
          type: event_type,
          at: Number(fromTimestamp(event_timestamp)! / 1000n),
          source,
          data: event_data ?? {},
        }),
      )
      const times = events.map(({ at }) => at)
      const toMicros = (text: string) => Date.parse(text) * 1000 + Number(text.slice(-4, -1))
      const asked = Date.now()
      const { entities, notices, report_metadata } = await get('utilization/timeline?limit=10000')
      // A minute around the events, but no future.
      const window = { start: Math.min(...times) - 60e6, end: toMicros(report_metadata.end_time) }
      expect(window.end).toBeGreaterThanOrEqual(Math.min(asked * 1000, Math.max(...times) + 60e6))
      expect(window.end).toBeLessThanOrEqual(Math.min((Date.now() + 1) * 1000, Math.max(...times) + 60e6))
      const shown = new Map<string, object[]>()
      for (const { kind, id, intervals, totals_us } of entities) {
        const { wall, ...each } = totals_us
        expect(Object.values<number>(each).reduce((sum, one) => sum + one, 0)).toBe(wall)
        if (['node', 'workcell', 'lab'].includes(kind)) expect(wall).toBe(window.end - window.start)
        shown.set(
          `${kind}:${id}`,
          intervals.map((one: { [key: string]: string | null }) => ({
            state: one.state,
            cause: one.cause,
            start: toMicros(one.start_time!),
            end: toMicros(one.end_time!),
            begunBy: one.begun_by,
            endedBy: one.ended_by,
          })),
        )
      }
      expect(Object.fromEntries([...shown].sort())).toEqual(
        Object.fromEntries([...plainTimeline(events, window).intervals].sort()),
      )
      expect(notices).toEqual({})

      const states = (kind: string, id?: string) =>
        entities
          .filter(
            (one: { kind: string; id: string }) => one.kind === kind && (id === undefined || one.id === id),
          )
          .map((one: { intervals: { state: string }[] }) => one.intervals.map(({ state }) => state).join(' '))
      expect(states('node', node_id)).toEqual(['unknown down idle busy idle busy error idle busy idle down'])
      expect(states('action')).toEqual(['busy', 'busy', 'busy'])
      expect(states('step')).toEqual(['busy', 'busy', 'busy'])
      expect(states('workflow').sort()).toEqual(['idle busy error', 'idle busy idle', 'idle busy idle'])
      const { items } = await get(`utilization/summary?by=workflow_type`)
      expect(items).toMatchObject([{ id: 'assay', runs: { total: 3, completed: 2, failed: 1 } }])
      const { subjects } = await get('utilization/compare')
      for (const { unexplained_us } of subjects) expect(Math.abs(unexplained_us)).toBeLessThan(100)
    })
  }
})
