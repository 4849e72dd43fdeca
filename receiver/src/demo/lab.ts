import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'

export interface LabFigures {
  emitted: number
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
export function startLab(options: LabOptions): Lab {
  const figures: LabFigures = { emitted: 0, workflowsRunning: 0, workflowsComplete: 0, workflowsFailed: 0 }
  const lab_id = createEventId()
  const workcell_id = createEventId()
  const stopping = new AbortController()

  const connect = (name: string, ids: { [key: string]: string }) => {
    const { url, spoolDir } = options
    const client = new EventClient({ url, name, spoolDir, source: { lab_id, workcell_id, ...ids } })
    return {
      client,
      say(type: string, data: { [key: string]: unknown }, ids: { [key: string]: string } = {}, level = 20) {
        figures.emitted++
        client.log({ event_type: type, log_level: level, event_data: data, source: ids })
      },
    }
  }
  const workcell = connect('workcell', {})
  const nodes = new Map(
    nodeNames.map((name) => [name as string, connect(name, { node_id: createEventId() })]),
  )

  workcell.say('lab_start', { name: 'Demo lab' })
  workcell.say('workcell_start', { name: 'Demo workcell' })
  for (const [node_name, node] of nodes) node.say('node_start', { node_name })

  async function runWorkflow(number: number): Promise<void> {
    const ids = { workflow_id: createEventId(), experiment_id: createEventId() }
    const about = {
      workflow_id: ids.workflow_id,
      name: `assay ${number}`,
      author: authors[number % authors.length],
    }
    figures.workflowsRunning++
    workcell.say('workflow_start', about, ids)
    let failed = false
    for (const step of recipe) {
      failed = !(await runStep(step, ids))
      if (failed || stopping.signal.aborted) break
    }
    const status = failed ? 'failed' : stopping.signal.aborted ? 'cancelled' : 'completed'
    workcell.say('workflow_complete', { ...about, status }, ids)
    figures.workflowsRunning--
    if (failed) figures.workflowsFailed++
    else figures.workflowsComplete++
  }

  async function runStep(step: (typeof recipe)[number], ids: { [key: string]: string }): Promise<boolean> {
    const node = nodes.get(step.node)!
    const stepIds = { ...ids, step_id: createEventId() }
    const action = { action: step.action, action_id: createEventId() }
    workcell.say('workflow_step_start', { step: step.action, node: step.node }, stepIds)
    node.say('action_start', action, stepIds)
    node.say('action_status_change', { ...action, status: 'running' }, stepIds)
    const startedMs = performance.now()
    await sleep((step.seconds * 1000 * (0.5 + Math.random())) / options.speed)
    const duration_seconds = (performance.now() - startedMs) / 1000
    if (Math.random() < failureRate) {
      node.say(
        'node_error',
        { ...action, message: `${step.node}: ${step.action} did not finish` },
        stepIds,
        40,
      )
      node.say('action_failed', { ...action, duration_seconds, status: 'failed' }, stepIds, 40)
      node.say('action_status_change', { ...action, status: 'failed' }, stepIds)
      workcell.say('workflow_step_failed', { step: step.action, node: step.node }, stepIds, 40)
      return false
    }
    node.say('action_status_change', { ...action, status: 'completed' }, stepIds)
    node.say('action_complete', { ...action, duration_seconds, status: 'completed' }, stepIds)
    workcell.say('workflow_step_complete', { step: step.action, node: step.node, duration_seconds }, stepIds)
    return true
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
      await sleep(1000 / options.speed)
    }
  }
  const laneCount = 3
  const lanes = Array.from({ length: laneCount }, (_, lane) => runLane(lane))
  const pulse = setInterval(() => {
    for (const [node_name, node] of nodes) node.say('node_status_update', { node_name, status: 'ok' })
  }, 5000 / options.speed)

  return {
    figures,
    async close() {
      clearInterval(pulse)
      stopping.abort()
      await Promise.all(lanes)
      for (const [node_name, node] of nodes) node.say('node_stop', { node_name })
      workcell.say('workcell_stop', {})
      workcell.say('lab_stop', {})
      await Promise.all([workcell, ...nodes.values()].map(({ client }) => client.close()))
    },
  }
}
