import { EventClient, type Source } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'

export interface LabFigures {
  readonly emitted: number
  workflowsRunning: number
  workflowsComplete: number
  workflowsFailed: number
}

export interface LabOptions {
  /** The receiver's address. */
  url: string
  /** What a cut-off end leaves waits here, away from the spool of real programs. */
  spoolDir: string
  /** How much faster than a real laboratory; 1 is a step of a few seconds. */
  speed: number
}

export interface Lab {
  readonly figures: LabFigures
  /** Ends the running workflows, delivers every event, then settles. */
  close(): Promise<void>
}

const nodeNames = ['liquid-handler', 'plate-reader', 'incubator', 'sealer', 'robot-arm'] as const
const recipe = [
  { node: 'robot-arm', action: 'transfer_plate', seconds: 2 },
  { node: 'liquid-handler', action: 'dispense', seconds: 5 },
  { node: 'sealer', action: 'seal', seconds: 1 },
  { node: 'incubator', action: 'incubate', seconds: 8 },
  { node: 'plate-reader', action: 'read_absorbance', seconds: 3 },
] as const
const failureRate = 0.04
const authors = ['ada', 'grace', 'rosalind'] as const

/**
 * A simulated laboratory: one workcell, five nodes, workflows of five steps, now and then an error.
 * Every event goes through the SDK over OTLP/HTTP, as in a real one.
 */
export function startLab({ url, spoolDir, speed }: LabOptions): Lab {
  const ids = { lab_id: createEventId(), workcell_id: createEventId() }
  const connect = (name: string, more: Source = {}) =>
    new EventClient({ url, name, spoolDir, source: { ...ids, ...more } })
  const workcell = connect('workcell')
  const nodes = new Map(
    nodeNames.map((name) => [name, { client: connect(name, { node_id: createEventId() }), busy: 0 }]),
  )
  const clients = [workcell, ...[...nodes.values()].map(({ client }) => client)]
  const figures: LabFigures = {
    get emitted() {
      return clients.reduce((count, client) => count + client.stats.emitted, 0)
    },
    workflowsRunning: 0,
    workflowsComplete: 0,
    workflowsFailed: 0,
  }
  const stopping = new AbortController()

  workcell.log({ event_type: 'lab_start', event_data: { name: 'Demo lab' } })
  workcell.log({ event_type: 'workcell_start', event_data: { name: 'Demo workcell' } })
  for (const [node_name, { client }] of nodes)
    client.log({ event_type: 'node_start', event_data: { node_name } })

  async function runWorkflow(number: number): Promise<void> {
    const about = { experiment_id: createEventId(), author: authors[number % authors.length]! }
    figures.workflowsRunning++
    try {
      await workcell.workflow(`assay ${number}`, about, async () => {
        for (const step of recipe) {
          stopping.signal.throwIfAborted()
          await workcell.step(step.action, { data: { node: step.node } }, () => runAction(step))
        }
      })
      figures.workflowsComplete++
    } catch {
      // Its events have said why.
      if (stopping.signal.aborted) figures.workflowsComplete++
      else figures.workflowsFailed++
    }
    figures.workflowsRunning--
  }

  function runAction({ node: name, action, seconds }: (typeof recipe)[number]): Promise<void> {
    const node = nodes.get(name)!
    return node.client.action(action, async () => {
      node.busy++
      await sleep((seconds * 1000 * (0.5 + Math.random())) / speed)
      node.busy--
      if (Math.random() >= failureRate) return
      const message = `${name}: ${action} did not finish`
      node.client.error({ event_type: 'node_error', event_data: { message, action } })
      throw new Error(message)
    })
  }

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer)
        stopping.signal.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, ms)
      stopping.signal.addEventListener('abort', finish)
    })
  }

  // Each lane runs one workflow after another, as a scheduler with that many plates under way would.
  async function runLane(lane: number): Promise<void> {
    for (let number = lane; !stopping.signal.aborted; number += laneCount) {
      await runWorkflow(number)
      await sleep(1000 / speed)
    }
  }
  const laneCount = 3
  const lanes = Array.from({ length: laneCount }, (_, lane) => runLane(lane))
  const pulse = setInterval(() => {
    for (const [node_name, { client, busy }] of nodes) client.nodeStatus({ busy: busy > 0 }, { node_name })
  }, 5000 / speed)

  return {
    figures,
    async close() {
      clearInterval(pulse)
      stopping.abort()
      await Promise.all(lanes)
      for (const [node_name, { client }] of nodes)
        client.log({ event_type: 'node_stop', event_data: { node_name } })
      workcell.log({ event_type: 'workcell_stop' })
      workcell.log({ event_type: 'lab_stop' })
      await Promise.all(clients.map((client) => client.close()))
    },
  }
}
