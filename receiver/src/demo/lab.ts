import { EventClient, type Source } from '@madsci-events/sdk'

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
  /** Share of the actions that fail; 0.04 if not given. */
  failureRate?: number
}

export interface Lab {
  readonly figures: LabFigures
  /** Ends the running workflows, delivers every event, then settles. */
  close(): Promise<void>
}

/** The laboratory is the same at each start: what it did yesterday is of the same nodes. */
const fixedId = (number: number) => `01JDEM00000000000000000${String(number).padStart(3, '0')}`
const ids = { lab_id: fixedId(1), workcell_id: fixedId(2) }
const nodeIds = {
  'liquid-handler': fixedId(11),
  'plate-reader': fixedId(12),
  incubator: fixedId(13),
  sealer: fixedId(14),
  'robot-arm': fixedId(15),
} as const
const recipe = [
  { node: 'robot-arm', action: 'transfer_plate', seconds: 2 },
  { node: 'liquid-handler', action: 'dispense', seconds: 5 },
  { node: 'sealer', action: 'seal', seconds: 1 },
  { node: 'incubator', action: 'incubate', seconds: 8 },
  { node: 'plate-reader', action: 'read_absorbance', seconds: 3 },
] as const
const experiments = [
  { name: 'growth curve', workflow: 'culture', author: 'ada' },
  { name: 'enzyme screen', workflow: 'assay', author: 'grace' },
  { name: 'crystal trials', workflow: 'drop setup', author: 'rosalind' },
] as const
const workflowsOfExperiment = 4

/**
 * A simulated laboratory: one workcell, five nodes, three experiments at a time, workflows of five steps, now and then an error.
 * Every event goes through the SDK over OTLP/HTTP, as in a real one.
 */
export function startLab({ url, spoolDir, speed, failureRate = 0.04 }: LabOptions): Lab {
  const connect = (name: string, more: Source = {}) =>
    new EventClient({ url, name, spoolDir, source: { ...ids, ...more } })
  const workcell = connect('workcell')
  const nodes = new Map(
    Object.entries(nodeIds).map(([name, node_id]) => [name, { client: connect(name, { node_id }), busy: 0 }]),
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

  workcell.log({ event_type: 'lab_start', event_data: { name: 'Demo lab', message: 'Demo lab started' } })
  workcell.log({
    event_type: 'workcell_start',
    event_data: { name: 'Demo workcell', message: 'Demo workcell started' },
  })
  for (const [node_name, { client }] of nodes)
    client.log({ event_type: 'node_start', event_data: { node_name, message: `${node_name} started` } })

  async function runExperiment({ name, workflow, author }: (typeof experiments)[number]): Promise<void> {
    await workcell.experiment(name, async () => {
      for (let count = 0; count < workflowsOfExperiment && !stopping.signal.aborted; count++) {
        await runWorkflow(workflow, author)
        await sleep(1000 / speed)
      }
    })
  }

  async function runWorkflow(name: string, author: string): Promise<void> {
    figures.workflowsRunning++
    try {
      await workcell.workflow(name, { author }, async () => {
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
      // The action's own end is the one that is told at the level of an error, and so the one that alerts.
      node.client.warning({ event_type: 'node_error', event_data: { message, action } })
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

  // One of each kind after another, as a scheduler with that many plates under way would.
  const lanes = experiments.map(async (experiment) => {
    while (!stopping.signal.aborted) await runExperiment(experiment)
  })
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
        client.log({ event_type: 'node_stop', event_data: { node_name, message: `${node_name} stopped` } })
      workcell.log({ event_type: 'workcell_stop', event_data: { message: 'Demo workcell stopped' } })
      workcell.log({ event_type: 'lab_stop', event_data: { message: 'Demo lab stopped' } })
      await Promise.all(clients.map((client) => client.close()))
    },
  }
}
