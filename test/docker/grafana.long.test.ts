import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Loki, type LokiSeries, startLoki } from '../support/loki.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort } from '../support/process.ts'
import { waitUntil } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'docker/grafana')

interface Panel {
  title: string
  targets: { expr: string; queryType: 'range' | 'instant' }[]
}
interface Dashboard {
  uid: string
  title: string
  panels: Panel[]
  templating: { list: { name: string; allValue?: string }[] }
}

const dashboards: Dashboard[] = await Promise.all(
  (await readdir(join(folder, 'dashboards'))).map(async (file) =>
    JSON.parse(await readFile(join(folder, 'dashboards', file), 'utf8')),
  ),
)

const cleanups: (() => unknown)[] = []
let loki: Loki | undefined
let skip: string | undefined
const nodes = [createEventId(), createEventId()]
/** In the order of the panel's queries. */
const nodeStatusWords = [
  'busy',
  'initializing',
  'paused',
  'locked',
  'stopped',
  'errored',
  'disconnected',
] as const
const ids = { alert: '', workflow: createEventId() }

/** A day of a small laboratory, through the real gateway into a real Loki. */
async function seed(endpoint: string): Promise<void> {
  const manager = new EventClient({ url: endpoint, name: 'workcell' })
  for (const [i, node_id] of nodes.entries()) {
    const node = new EventClient({ url: endpoint, name: `node-${i}`, source: { node_id } })
    for (const word of i === 0 ? nodeStatusWords : (['errored'] as const)) node.nodeStatus({ [word]: true })
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
  const queues = await mkdtemp(join(tmpdir(), 'madsci-gateway-'))
  const [http, grpc, fanout, health] = await Promise.all([1, 2, 3, 4].map(() => findFreePort()))
  const gateway = spawnPeer(collector.path, ['--config', join(root, 'collector/gateway.yaml')], {
    env: {
      LISTEN: '127.0.0.1',
      HTTP_PORT: String(http),
      GRPC_PORT: String(grpc),
      FANOUT_PORT: String(fanout),
      HEALTH_PORT: String(health),
      QUEUE_DIRECTORY: queues,
      LOKI_ENDPOINT: `${started.url}otlp`,
      LAB: 'test-lab',
    },
  })
  cleanups.push(
    () => rm(queues, { recursive: true, force: true }),
    () => gateway.stop(),
  )
  await waitForPort(http!, gateway)
  await seed(`http://127.0.0.1:${http}`)
  const lines = async () => (await started.query('{lab="test-lab"}')).flatMap(({ values }) => values ?? [])
  await waitUntil(async () => (await lines()).length >= 16, 'the events in Loki')
}, 240_000)

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
    const errorNodes = labelOf(await ask('madsci-lab', 'Errors by node'), 'node')
    for (const node of nodes) expect(errorNodes).toContain(node)
    for (const [i, word] of nodeStatusWords.entries()) {
      const seen = labelOf(await ask('madsci-lab', 'Node states', {}, i), 'node')
      expect(seen, word).toEqual(new Set(word === 'errored' ? nodes : [nodes[0]]))
    }
    const durations = labelOf(await ask('madsci-lab', 'Workflow durations'), 'madsci_event_data_name')
    expect(durations).toEqual(new Set(['prepare', 'measure']))
    const outcomes = labelOf(await ask('madsci-lab', 'Workflows by outcome'), 'madsci_event_data_status')
    expect(outcomes).toEqual(new Set(['completed', 'failed']))
    const failed = labelOf(await ask('madsci-lab', 'Failed actions by node'), 'node')
    expect(failed).toEqual(new Set([nodes[1]]))
    expect((await ask('madsci-lab', 'Alerts'))[0]?.value?.[1]).toBe('1')
    expect(labelOf(await ask('madsci-lab', 'Events by type'), 'event_type').size).toBeGreaterThan(5)
  })

  it('the explorer finds by text, id, workflow and level', async ({ skip: leave }) => {
    if (skip) leave(skip)
    expect(countLines(await ask('madsci-events', 'Events', { event_id: ids.alert }))).toBe(1)
    expect(countLines(await ask('madsci-events', 'Events', { search: 'lost the PLATE' }))).toBe(2)
    expect(countLines(await ask('madsci-events', 'Events', { workflow_id: ids.workflow }))).toBeGreaterThan(1)
    const errors = await ask('madsci-events', 'Events', { level: 'error|critical' })
    expect([...labelOf(errors, 'level')].sort()).toEqual(['critical', 'error'])
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
