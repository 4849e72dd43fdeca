import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { labels } from '../../receiver/src/metric.ts'
import { type Loki, type LokiSeries, startLoki } from '../support/loki.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePorts } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { waitUntil } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'docker/grafana')

interface Panel {
  title: string
  datasource: { uid: string }
  targets: { expr: string; queryType: 'range' | 'instant' }[]
}
interface Dashboard {
  uid: string
  title: string
  panels: Panel[]
  templating: { list: { name: string; allValue?: string }[] }
}

const all: Dashboard[] = await Promise.all(
  (await readdir(join(folder, 'dashboards'))).map(async (file) =>
    JSON.parse(await readFile(join(folder, 'dashboards', file), 'utf8')),
  ),
)
const isOf = (source: string) => (dashboard: Dashboard) =>
  dashboard.panels.every(({ datasource }) => datasource.uid === source)
const dashboards = all.filter(isOf('loki'))

const cleanups: (() => unknown)[] = []
let loki: Loki | undefined
let skip: string | undefined
const nodes = [createEventId(), createEventId()]
/** What a node said last, and the state of the panel. */
const lastStatuses = [
  ['busy', '1'],
  ['initializing', '2'],
  ['paused', '2'],
  ['locked', '2'],
  ['stopped', '2'],
  ['errored', '3'],
  ['disconnected', '2'],
] as const
/** The recorded events of a laboratory, moved to now: Loki takes nothing old. */
const recording = new URL('../receiver/utilization/timeline/lab/real-lab-0.8.1.ndjson', import.meta.url)
interface Recorded {
  _id: string
  event_type: string
  event_timestamp: string
  log_level: number
  alert: boolean
  event_data: { [key: string]: unknown }
}
let recorded: Recorded[] = []
const ids = { alert: '', workflow: createEventId() }

/** A day of a small laboratory, through the real gateway into a real Loki. */
async function seed(endpoint: string): Promise<void> {
  const manager = new EventClient({ url: endpoint, name: 'workcell' })
  for (const [i, node_id] of nodes.entries()) {
    const node = new EventClient({ url: endpoint, name: `node-${i}`, source: { node_id } })
    node.nodeStatus({ errored: true })
    node.nodeStatus('ready')
    node.error('The gripper lost the plate', { plate: i })
    await node
      .action('transfer_plate', {}, async () => {
        if (i === 1) throw new Error('The door is open')
      })
      .catch(() => {})
    if (i === 0) ids.alert = node.alert('The door is open')
    await node.close()
  }
  for (const [word] of lastStatuses) {
    const node = new EventClient({ url: endpoint, name: `is-${word}`, source: { node_id: createEventId() } })
    node.nodeStatus('ready')
    node.nodeStatus({ [word]: true })
    await node.close()
  }
  await manager.workflow('prepare', { workflow_id: ids.workflow }, async () => {})
  await manager.workflow('measure', {}, async () => Promise.reject(new Error('no light'))).catch(() => {})
  await manager.close()
}

beforeAll(async () => {
  const [collector, binary] = [findPeer('OTELCOL_BINARY'), findPeer('LOKI_BINARY')]
  if ('skip' in collector) skip = collector.skip
  if ('skip' in binary) skip = binary.skip
  if ('skip' in collector || 'skip' in binary) return
  const started = await startLoki(binary.path)
  loki = started
  cleanups.push(() => started.stop())
  const linesOf = async (lab: string) =>
    (await started.query(`{lab="${lab}"}`)).flatMap(({ values }) => values ?? []).length
  const gateway = await startGateway(collector.path, started, 'test-lab')
  await seed(gateway.url)
  await waitUntil(async () => (await linesOf('test-lab')) >= 30, 'the events in Loki')

  const real = await startGateway(collector.path, started, 'real-lab')
  const fanout = JSON.stringify([{ name: 'gateway', url: real.fanoutUrl }])
  const receiver = await startTestReceiver({ flags: { fanout } })
  cleanups.push(() => receiver.close())
  await replay(receiver.url)
  await waitUntil(async () => (await linesOf('real-lab')) >= recorded.length, 'the recorded events in Loki')
}, 240_000)

async function startGateway(
  path: string,
  to: Loki,
  lab: string,
): Promise<{ url: string; fanoutUrl: string }> {
  const queues = await mkdtemp(join(tmpdir(), 'madsci-gateway-'))
  const [http, grpc, fanout, health] = await findFreePorts(4)
  const gateway = spawnPeer(path, ['--config', join(root, 'collector/gateway.yaml')], {
    env: {
      LISTEN: '127.0.0.1',
      HTTP_PORT: String(http),
      GRPC_PORT: String(grpc),
      FANOUT_PORT: String(fanout),
      HEALTH_PORT: String(health),
      QUEUE_DIRECTORY: queues,
      LOKI_ENDPOINT: `${to.url}otlp`,
      LAB: lab,
    },
  })
  cleanups.push(
    () => rm(queues, { recursive: true, force: true }),
    () => gateway.stop(),
  )
  await waitForPort(http!, gateway)
  return { url: `http://127.0.0.1:${http}`, fanoutUrl: `http://127.0.0.1:${fanout}` }
}

/** By REST, as MADSci's programs send them; what leaves by fan-out ends in Loki. */
async function replay(url: string): Promise<void> {
  const lines = (await readFile(recording, 'utf8')).trim().split('\n')
  const events = lines.map((line) => JSON.parse(line) as Recorded)
  const last = Math.max(...events.map((one) => Date.parse(`${one.event_timestamp}Z`)))
  const shift = Date.now() - 60_000 - last
  recorded = events.map((one) => ({
    ...one,
    event_timestamp: new Date(Date.parse(`${one.event_timestamp}Z`) + shift).toISOString(),
  }))
  for (const { _id, ...event } of recorded) {
    const body = JSON.stringify({ event_id: createEventId(), ...event })
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${url}event`, { method: 'POST', headers, body })
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
  }
}

/** The name that an event gives its node. */
function nameIn({ event_data: data }: Recorded): string | undefined {
  const info = data.node_info as { node_name?: string } | undefined
  const component = data.component_name as string | undefined
  return info?.node_name ?? (data.node_name as string | undefined) ?? component?.replace(/^node\./, '')
}

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** As Grafana does it with all variables at "All", or as given. */
function fill({ templating }: Dashboard, expr: string, given: { [name: string]: string } = {}): string {
  const all = Object.fromEntries(templating.list.map(({ name, allValue = '' }) => [name, allValue]))
  const values: { [name: string]: string } = { __auto: '5m', __range: '1h', ...all, ...given }
  return expr.replace(/\$(\w+)/g, (text, name: string) => values[name] ?? text)
}

const countLines = (result: LokiSeries[]) => result.flatMap(({ values }) => values ?? []).length
const labelOf = (result: LokiSeries[], label: string) =>
  new Set(result.map(({ metric, stream }) => (metric ?? stream)?.[label]))

async function ask(
  uid: string,
  title: string,
  given: { [name: string]: string } = {},
  index = 0,
): Promise<LokiSeries[]> {
  const dashboard = dashboards.find((one) => one.uid === uid)!
  const target = dashboard.panels.find((one) => one.title === title)!.targets[index]
  return loki!.query(fill(dashboard, target!.expr, given), target!.queryType)
}

const seeded = { lab: 'test-lab' }
const real = { lab: 'real-lab' }

describe('the dashboards of Grafana', () => {
  it('every query of every panel is understood by Loki and finds what was seeded', async ({
    skip: leave,
  }) => {
    if (skip) leave(skip)
    expect(dashboards.flatMap(({ panels }) => panels).length).toBeGreaterThan(8)
    for (const dashboard of dashboards) {
      const { title } = dashboard
      for (const panel of dashboard.panels) {
        for (const { expr, queryType } of panel.targets) {
          const filled = fill(dashboard, expr)
          expect(filled, `${title}: ${panel.title} has a variable that is not defined`).not.toContain('$')
          expect(await loki!.query(filled, queryType), `${title}: ${panel.title}: ${filled}`).not.toEqual([])
        }
      }
    }
  })

  it('panels tell the nodes, states, workflows and alerts of the seed', async ({ skip: leave }) => {
    if (skip) leave(skip)
    const errorNodes = labelOf(await ask('madsci-lab', 'Errors by node', seeded), 'name')
    for (const name of ['node-0', 'node-1']) expect(errorNodes).toContain(name)
    const states = await ask('madsci-lab', 'Node states', seeded)
    const lastOf = Object.fromEntries(states.map(({ metric, values }) => [metric!.name, values!.at(-1)![1]]))
    expect(lastOf).toEqual({
      'node-0': '0',
      'node-1': '0',
      ...Object.fromEntries(lastStatuses.map(([word, state]) => [`is-${word}`, state])),
    })
    const durations = labelOf(await ask('madsci-lab', 'Workflow durations', seeded), 'madsci_event_data_name')
    expect(durations).toEqual(new Set(['prepare', 'measure']))
    const outcomes = labelOf(
      await ask('madsci-lab', 'Workflows by outcome', seeded),
      'madsci_event_data_status',
    )
    expect(outcomes).toEqual(new Set(['completed', 'failed']))
    const failed = labelOf(await ask('madsci-lab', 'Failed actions by node', seeded), 'name')
    expect(failed).toEqual(new Set(['node-1']))
    // Two errors, an alert, a failed action and a failed workflow.
    expect((await ask('madsci-lab', 'Events that alert', seeded))[0]?.value?.[1]).toBe('5')
    expect(countLines(await ask('madsci-lab', 'Events that alert, newest first', seeded))).toBe(5)
    expect(labelOf(await ask('madsci-lab', 'Events by type', seeded), 'event_type').size).toBeGreaterThan(5)
  })

  it('panels tell of a recorded laboratory what its events say', async ({ skip: leave }) => {
    if (skip) leave(skip)
    const alerting = recorded.filter(({ log_level, alert }) => alert || log_level >= 40)
    expect((await ask('madsci-lab', 'Events that alert', real))[0]?.value?.[1]).toBe(String(alerting.length))
    const tally = (names: (string | undefined)[]) => {
      const counts: { [name: string]: string } = {}
      for (const name of names) if (name !== undefined) counts[name] = String(Number(counts[name] ?? 0) + 1)
      return counts
    }
    const errors = await ask('madsci-lab', 'Errors by node', real)
    const shown = Object.fromEntries(errors.map(({ metric, value }) => [metric!.name, value![1]]))
    expect(shown).toMatchObject(tally(alerting.filter(({ log_level }) => log_level >= 40).map(nameIn)))
    const five = [
      'advanced_example_node',
      'liquidhandler_1',
      'liquidhandler_2',
      'platereader_1',
      'robotarm_1',
    ]
    const states = await ask('madsci-lab', 'Node states', real)
    expect(states.map(({ metric }) => metric!.name).sort()).toEqual(five)
    const ended = recorded.filter(({ event_type }) => event_type === 'workflow_complete')
    const outcomes = await ask('madsci-lab', 'Workflows by outcome', real)
    expect([...labelOf(outcomes, 'madsci_event_data_status')].sort()).toEqual(
      Object.keys(tally(ended.map(({ event_data }) => event_data.status as string))).sort(),
    )
  })

  it('the explorer finds by text, id, workflow and level', async ({ skip: leave }) => {
    if (skip) leave(skip)
    const linked = { event_id: ids.alert }
    expect(countLines(await ask('madsci-events', 'The event of the link', linked))).toBe(1)
    // Its neighbours as well.
    expect(countLines(await ask('madsci-events', 'Events', { ...linked, ...seeded }))).toBeGreaterThan(20)
    expect(countLines(await ask('madsci-events', 'Events', { search: 'lost the PLATE' }))).toBe(2)
    expect(countLines(await ask('madsci-events', 'Events', { workflow_id: ids.workflow }))).toBeGreaterThan(1)
    const errors = await ask('madsci-events', 'Events', { level: 'error|critical', ...seeded })
    expect([...labelOf(errors, 'level')].sort()).toEqual(['critical', 'error'])
  })

  it('what is asked of Prometheus is what a receiver shows', async () => {
    const [receiverBoard, ...more] = all.filter(isOf('prometheus'))
    expect([receiverBoard!.uid, more]).toEqual(['madsci-receiver', []])
    const flags = { fanout: '[{"name": "x", "url": "http://127.0.0.1:9"}]', alert_rules: '[]' }
    const receiver = await startTestReceiver({ flags })
    cleanups.push(() => receiver.close())
    const body = JSON.stringify({ event_type: 'node_error', log_level: 40 })
    const headers = { 'content-type': 'application/json' }
    await fetch(`${receiver.url}event`, { method: 'POST', headers, body })
    await fetch(`${receiver.url}events?number=x`)
    const shown = await (await fetch(`${receiver.url}metrics`)).text()
    for (const { title, targets } of receiverBoard!.panels)
      for (const { expr } of targets)
        for (const [name] of expr.matchAll(/\b(?:madsci|process)_\w+/g)) expect(shown, title).toContain(name)
    for (const { title, targets } of receiverBoard!.panels)
      for (const { expr } of targets) {
        const [, name] = /madsci_(\w+?)(?:_total|_bucket)?[ )[]/.exec(`${expr} `) ?? []
        const [, list = ''] = /by \(([^)]*)\)/.exec(expr) ?? []
        const asked = list.split(', ').filter((label) => !['', 'instance', 'le'].includes(label))
        for (const label of asked)
          expect(label, `${title}: ${name}`).toBe(labels[name as keyof typeof labels])
      }
  })

  it('variables, data source and links are as the panels use them', async () => {
    const source = parse(await readFile(join(folder, 'provisioning/datasources/loki.yaml'), 'utf8'))
    expect(source.datasources[0].jsonData.derivedFields[0].url).toMatch(/\/event\/\$\$\{__value\.raw\}$/)
    for (const { title, panels, templating } of dashboards) {
      const names = new Set([...templating.list.map(({ name }) => name), '__auto', '__range'])
      for (const name of JSON.stringify(panels).matchAll(/\$(\w+)/g)) expect(names, title).toContain(name[1])
      for (const text of JSON.stringify(panels).matchAll(/"uid":"(\w+)"/g)) expect(text[1]).toBe('loki')
    }
  })
})
