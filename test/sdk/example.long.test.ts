import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { createEventId, type Event } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPythonOtel } from '../support/python.ts'
import { startTestReceiver } from '../support/receiver.ts'

const folder = join(import.meta.dirname, '../../sdk/examples')

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
let reader: EventClient
beforeAll(async () => {
  receiver = await startTestReceiver()
  reader = new EventClient({ url: receiver.url, name: 'reader' })
})
afterAll(async () => {
  await reader?.close()
  await receiver?.close()
})

interface Program extends ChildProcess {
  text(): string
}

function start(args: string[], env: { [name: string]: string } = {}, python?: string): Program {
  const command = python ?? process.execPath
  const child = spawn(command, python ? args : ['--conditions=madsci-events-source', ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      MADSCI_SPOOL_DIR: process.env.MADSCI_SPOOL_DIR,
      MADSCI_URL: receiver.url,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  return Object.assign(child, { text: () => text })
}

async function run(args: string[], env?: { [name: string]: string }, python?: string): Promise<string> {
  const program = start(args, env, python)
  const [code] = await once(program, 'close')
  expect(code, program.text()).toBe(0)
  return program.text()
}

/** What a program of this name has in the receiver, oldest first. */
async function eventsOf(name: string): Promise<Event[]> {
  const all = (await reader.getEvents({ number: 0 })).filter((event) => nameOf(event) === name)
  return all.sort((a, b) => (a.event_id < b.event_id ? -1 : 1))
}

const nameOf = (event: Event) => event.otel?.resource?.['service.name']
const messageOf = (event: Event) => (event.event_data as { message: string }).message

describe('the examples, each a process of its own, and a real receiver', () => {
  it('every example is in its README', () => {
    const text = readFileSync(join(folder, 'README.md'), 'utf8')
    for (const file of readdirSync(folder).filter((name) => /\.(ts|mjs|cjs|py)$/.test(name)))
      expect(text).toContain(file)
  })

  it('the quick start of the README', async () => {
    const text = readFileSync(join(folder, '../README.md'), 'utf8')
    const program = /```js\n([\s\S]*?)```/.exec(text)![1]!
    expect(await run(['--input-type=module', '-e', program])).toContain("message: 'Hello, laboratory'")
    const types = (await eventsOf('hello')).map((event) => event.event_type)
    expect(types).toEqual([
      'action_start',
      'action_status_change',
      'log_info',
      'action_complete',
      'action_status_change',
    ])
  })

  it('a node with actions, and an experiment that calls it', async () => {
    const node_id = createEventId()
    const node = start(['lab-node.ts'], { PORT: '0', MADSCI_NODE_ID: node_id })
    while (!node.text().includes('listening')) await once(node.stdout!, 'data')
    const port = /listening on (\d+)/.exec(node.text())![1]
    const text = await run(['experiment.ts', `http://127.0.0.1:${port}`])
    expect(text).toContain('The node answers 500')
    node.kill('SIGTERM')
    const [code] = await once(node, 'close')
    expect(code, node.text()).toBe(0)

    const script = await eventsOf('growth-experiment')
    expect(script.map((event) => event.event_type)).toEqual([
      'experiment_start',
      'workflow_start',
      'workflow_step_start',
      'workflow_step_complete',
      'workflow_step_start',
      'workflow_step_failed',
      'workflow_complete',
      'experiment_failed',
    ])
    const { workflow_id, experiment_id } = script[1]!.source
    const device = await eventsOf('liquid-handler')
    expect(device.map((event) => event.event_type)).toEqual([
      'node_start',
      'node_status_update',
      'action_start',
      'action_status_change',
      'log_info',
      'action_complete',
      'action_status_change',
      'action_start',
      'action_status_change',
      'action_failed',
      'action_status_change',
      'node_stop',
    ])
    for (const event of device) expect(event.source.node_id).toBe(node_id)
    for (const event of device.slice(2, -1)) {
      expect(event.source).toMatchObject({ workflow_id, experiment_id })
      expect(event.trace_id).toBe(script[0]!.trace_id)
    }
    const report = (await (await fetch(`${receiver.url}utilization/user`)).json()) as {
      user_utilization: { [author: string]: { failed_workflows: number } }
    }
    if ('user_utilization' in report) expect(report.user_utilization.ada?.failed_workflows).toBe(1)
  })

  it('an existing pino service', async () => {
    await run(['pino-service.ts'])
    const events = await eventsOf('scheduler')
    expect(events.map((event) => [event.event_type, event.log_level, messageOf(event)])).toEqual([
      ['log_info', 20, 'Scheduled'],
      ['log_error', 40, 'Not scheduled'],
      ['workflow_complete', 20, 'Given up'],
    ])
    expect(events[0]!.event_data).toMatchObject({ plate: 'P1', password: '[Redacted]' })
    for (const event of events) expect(event.source.workflow_id).toBe('01JJ4S0WNGEF5FQAZG5KDGJRBV')
  })

  it('a NodeSDK service', async () => {
    const env = { OTEL_TRACES_EXPORTER: 'console', OTEL_METRICS_EXPORTER: 'none' }
    const text = await run(['node-sdk-service.ts'], env)
    expect(text).not.toContain('Accessing resource attributes')
    const traceId = /traceId: '([0-9a-f]{32})'/.exec(text)?.[1]
    expect(await eventsOf('camera')).toMatchObject([
      {
        event_type: 'data_store',
        log_level: 30,
        event_data: { message: 'Underexposed', exposure_ms: 12 },
        trace_id: traceId,
      },
    ])
  })

  it('a CommonJS script', async () => {
    await run(['script.cjs'])
    expect(await eventsOf('calibration')).toMatchObject([
      { event_data: { message: 'Calibrated', offset_mm: 0.03 } },
    ])
  })

  it('a program without a line of code', async () => {
    const text = await run(['--import', '@madsci-events/sdk/register', 'plain.mjs'], {
      MADSCI_REGISTER: 'console',
    })
    expect(text).toContain('Door open\nError: Door jammed')
    const events = await eventsOf('plain')
    expect(events.map((event) => [event.log_level, messageOf(event)])).toEqual([
      [20, 'Door open'],
      [40, 'Door jammed'],
    ])
  })

  it("a node in Python, by OpenTelemetry's own SDK, that a workflow in JavaScript calls", async (context) => {
    const found = findPythonOtel()
    if ('skip' in found) return context.skip(found.skip)
    const caller = new EventClient({ url: receiver.url, name: 'caller' })
    const node_id = createEventId()
    const workflow_id = createEventId()
    await caller.workflow('assay', { workflow_id }, () =>
      run(['lab_node.py', JSON.stringify(caller.headers())], { MADSCI_NODE_ID: node_id }, found.python),
    )
    await caller.close()
    const [workflow] = await eventsOf('caller')
    const events = (await eventsOf('python-node')).sort((a, b) =>
      a.event_timestamp < b.event_timestamp ? -1 : 1,
    )
    expect(events.map((event) => [event.event_type, event.log_level])).toEqual([
      ['node_start', 20],
      ['action_start', 20],
      ['action_failed', 40],
      ['resource_update', 30],
    ])
    expect(events[0]).toMatchObject({ trace_id: null, source: { node_id } })
    for (const event of events.slice(1, 3)) {
      expect(event).toMatchObject({ trace_id: workflow!.trace_id, source: { node_id, workflow_id } })
    }
    expect(events[1]!.event_data).toEqual({
      message: 'Moving',
      action: 'move',
      action_id: 'a1',
      args: { to: [1, 2] },
    })
    expect(events[3]!.event_data).toEqual({ message: 'Low on tips', tips: 3 })
  })
})
