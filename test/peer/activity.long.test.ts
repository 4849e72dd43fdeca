import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const peer = findPeer('MADSCI_PEER')
const source = await findMongo()

interface Figures {
  /** When the first began to the last end, without gaps: two actions at a time count once. */
  busySeconds: number
  experimentSeconds: number
}

/** A workcell, a node, an experiment of two workflows: one goes well with two actions at a time, one fails. */
async function runLab(url: string, ids: { workcell_id: string; node_id: string }): Promise<Figures> {
  const workcell = new EventClient({ url, name: 'workcell', source: { workcell_id: ids.workcell_id } })
  const node = new EventClient({ url, name: 'arm', source: ids })
  workcell.log({ event_type: 'workcell_start', event_data: { name: 'Test cell' } })
  node.log({ event_type: 'node_start', event_data: { node_name: 'arm' } })
  node.nodeStatus({})
  const figures = { busySeconds: 0, experimentSeconds: 0 }
  const startedMs = performance.now()
  await workcell.experiment('growth', async () => {
    await sleep(200)
    await workcell.workflow('good', { author: 'ada' }, () =>
      workcell.step('both', async () => {
        const beganMs = performance.now()
        await Promise.all([
          node.action('move', () => sleep(400)),
          sleep(100).then(() => node.action('shake', { args: { rpm: 300 } }, () => sleep(500))),
        ])
        figures.busySeconds += (performance.now() - beganMs) / 1000
      }),
    )
    await sleep(100)
    const bad = workcell.workflow('bad', { author: 'ada' }, () =>
      workcell.step('one', () => {
        const beganMs = performance.now()
        return node.action('move', async () => {
          await sleep(300)
          figures.busySeconds += (performance.now() - beganMs) / 1000
          throw new Error('jam')
        })
      }),
    )
    await bad.catch(() => {})
  })
  figures.experimentSeconds = (performance.now() - startedMs) / 1000
  await sleep(100)
  node.log({ event_type: 'node_stop' })
  workcell.log({ event_type: 'workcell_stop' })
  await Promise.all([node.close(), workcell.close()])
  return figures
}

interface Sessions {
  overall_summary: { total_experiments: number }
  session_details: {
    timing: { active_time: { seconds: number } }
    experiment_details: { experiment_name: string }[]
    node_utilizations: { [id: string]: { node_name: string; timing: { busy_time: { seconds: number } } } }
  }[]
}
interface Users {
  user_utilization: {
    [author: string]: { total_workflows: number; completed_workflows: number; failed_workflows: number }
  }
}

const tolerance = 0.15

async function expectReports(url: string, node_id: string, figures: Figures): Promise<void> {
  const get = async (path: string) => (await fetch(`${url}utilization/${path}`)).json()
  const { session_details: sessions } = (await get('sessions')) as Sessions
  expect(sessions).toHaveLength(1)
  const [session] = sessions
  expect(Math.abs(session!.timing.active_time.seconds - figures.experimentSeconds)).toBeLessThan(tolerance)
  expect(session!.experiment_details.map((one) => one.experiment_name)).toEqual(['growth'])
  const node = session!.node_utilizations[node_id]!
  expect(node.node_name).toBe('arm')
  expect(Math.abs(node.timing.busy_time.seconds - figures.busySeconds)).toBeLessThan(tolerance)
  const { user_utilization: users } = (await get('user')) as Users
  expect(users.ada).toMatchObject({ total_workflows: 2, completed_workflows: 1, failed_workflows: 1 })
}

describe("what the SDK's activities emit, read by the reports", () => {
  it('the original, our report like it, and the exact engine say the same', async (context) => {
    if ('skip' in source) return context.skip(source.skip)
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const database = freshDatabaseName()
    const receiver = await startTestReceiver({
      flags: { document_db_url: mongod.url, database_name: database },
    })
    cleanups.push(() => receiver.close())
    const ids = { workcell_id: createEventId(), node_id: createEventId() }
    const figures = await runLab(receiver.url, ids)

    await expectReports(receiver.url, ids.node_id, figures)
    const answer = await fetch(
      `${receiver.url}utilization/timeline?kind=node,action,workflow,step,experiment`,
    )
    const timeline = (await answer.json()) as {
      entities: { kind: string; id: string; outcome?: string; totals_us: { [state: string]: number } }[]
      notices: object
    }
    expect(timeline.notices).toEqual({})
    const exact = timeline.entities.find(({ kind, id }) => kind === 'node' && id === ids.node_id)!
    const busy = exact.totals_us.busy! / 1e6
    expect(Math.abs(busy - figures.busySeconds)).toBeLessThan(tolerance)
    const compared = (await (await fetch(`${receiver.url}utilization/compare`)).json()) as object
    expect(JSON.stringify(compared)).not.toMatch(/"(stored_as_log|action_events_not_read|status_not_read)"/)

    if ('skip' in peer) return context.skip(peer.skip)
    const port = await findFreePort()
    const original = spawnPeer(peer.path, ['serve', String(port), mongod.url, database], {
      env: { TZ: 'UTC' },
    })
    cleanups.push(() => original.stop())
    await waitForPort(port, original)
    await expectReports(`http://127.0.0.1:${port}/`, ids.node_id, figures)
  })
})
