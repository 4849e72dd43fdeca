import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventId } from '@madsci-events/sdk/event'
import { afterEach, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { waitUntil } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Series {
  metric: { [label: string]: string }
  value: [number, string]
}

/** A real Prometheus with the file that docker/ ships, which reads these receivers each second. */
async function startPrometheus(binary: string, urls: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-prometheus-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const config = parse(await readFile(join(root, 'docker/prometheus.yaml'), 'utf8'))
  config.global.scrape_interval = '1s'
  config.scrape_configs[0].static_configs[0].targets = urls.map((url) => new URL(url).host)
  await writeFile(join(folder, 'prometheus.yaml'), stringify(config))
  const port = await findFreePort()
  const peer = spawnPeer(binary, [
    `--config.file=${join(folder, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ])
  cleanups.push(() => peer.stop())
  await waitForPort(port, peer)
  return async (query: string): Promise<Series[]> => {
    const asked = new URL(`http://127.0.0.1:${port}/api/v1/query`)
    asked.searchParams.set('query', query)
    const { status, error, data } = (await (await fetch(asked)).json()) as {
      status: string
      error?: string
      data: { result: Series[] }
    }
    if (status !== 'success') throw new Error(`${query}: ${error}`)
    return data.result
  }
}

const post = (url: string, body: object) =>
  fetch(`${url}event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

it('each panel of the receiver dashboard finds in a real Prometheus what the receivers show', async ({
  skip,
}) => {
  const binary = findPeer('PROMETHEUS_BINARY')
  if ('skip' in binary) return skip(binary.skip)
  const flags = {
    fanout: '[{"name": "nobody", "url": "http://127.0.0.1:9"}]',
    alert_rules: '[{"name": "broken", "selector": {"event_type": "log_error"}}]',
  }
  const receivers = [await startTestReceiver({ flags }), await startTestReceiver({ flags })]
  for (const receiver of receivers) cleanups.push(() => receiver.close())
  const [busy, quiet] = receivers.map(({ url }) => url) as [string, string]
  const instanceOf = (url: string) => new URL(url).host
  const ask = await startPrometheus(binary.path, [busy, quiet])
  await waitUntil(async () => (await ask('up == 1')).length === 2, 'both receivers in Prometheus', 60_000)

  const same = { event_id: createEventId(), event_type: 'log_info' }
  async function work(): Promise<void> {
    expect((await post(busy, { event_type: 'log_error', log_level: 'error' })).status).toBe(200)
    await post(busy, same)
    expect((await post(busy, { log_level: 'no level' })).status).toBe(422)
    await fetch(`${busy}events?number=x`)
  }

  const panels = JSON.parse(await readFile(join(root, 'docker/grafana/dashboards/receiver.json'), 'utf8'))
    .panels as {
    title: string
    targets: { expr: string }[]
  }[]
  const questions = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })))
  expect(questions.length).toBeGreaterThan(20)
  const askPanel = (expr: string) =>
    ask(expr.replaceAll('$__rate_interval', '20s').replaceAll('$__range', '1m'))
  const answers = new Map<string, Series[]>()
  const valuesOf = (start: string) => {
    const found = [...answers].filter(([expr]) => expr.startsWith(start))
    expect(found, start).toHaveLength(1)
    return found[0]![1]
  }
  const isFound = (series: Series[]) => series.some(({ value }) => Number(value[1]) > 0)
  // What nobody did, or what is over before it is read, is nothing.
  const mayBeNothing = [
    'sum(increase(madsci_conservation',
    'sum(madsci_events_unaccounted',
    'sum(madsci_events_late',
    'sum by (code) (rate(madsci_events_unavailable',
    'madsci_events_waiting',
    'madsci_commits_running',
    'madsci_streams_open',
    'madsci_bytes_in_flight',
    'sum(increase(madsci_alert_notices',
    'max(madsci_alerts_',
  ]
  let missing: string[] = []
  await waitUntil(
    async () => {
      await work()
      for (const { expr } of questions) answers.set(expr, await askPanel(expr))
      missing = [...answers.keys()].filter(
        (expr) => !mayBeNothing.some((start) => expr.startsWith(start)) && !isFound(answers.get(expr)!),
      )
      return missing.length === 0
    },
    'each panel',
    90_000,
  ).catch(() => {})
  expect(missing).toEqual([])

  const byInstance = (series: Series[]) =>
    Object.fromEntries(series.map(({ metric, value }) => [metric.instance, Number(value[1])]))
  expect(byInstance(valuesOf('min by (instance) (madsci_store_up'))).toEqual({
    [instanceOf(busy)]: 1,
    [instanceOf(quiet)]: 1,
  })
  const stored = byInstance(valuesOf('sum by (instance) (rate(madsci_events_stored'))
  expect(stored[instanceOf(busy)]).toBeGreaterThan(0)
  expect(stored[instanceOf(quiet)] ?? 0).toBe(0)
  const labelsOf = (start: string, label: string) =>
    valuesOf(start)
      .filter(({ value }) => Number(value[1]) > 0)
      .map(({ metric }) => metric[label])
  expect(labelsOf('sum by (rule) (increase(madsci_alerts_raised', 'rule').sort()).toEqual([
    'alert_level',
    'broken',
  ])
  expect(labelsOf('sum by (rule) (increase(madsci_alert_events', 'rule').sort()).toEqual([
    'alert_level',
    'broken',
  ])
  expect(labelsOf('sum by (code) (rate(madsci_requests_refused', 'code')).toContain('EVT_INVALID')
  expect(labelsOf('max by (destination) (madsci_fanout_lag', 'destination')).toEqual(['nobody'])
  for (const { metric, value } of valuesOf('histogram_quantile(0.99, sum by (le, instance)')) {
    if (metric.instance !== instanceOf(busy)) continue
    expect(Number(value[1])).toBeGreaterThan(0)
    expect(Number(value[1])).toBeLessThan(60)
  }
  for (const nothing of ['sum(increase(madsci_conservation', 'sum(madsci_events_late'])
    expect(valuesOf(nothing).every(({ value }) => Number(value[1]) === 0)).toBe(true)

  // Without work between, Prometheus says what /metrics says.
  const shown = await (await fetch(`${busy}metrics`)).text()
  const [, count] = /^madsci_events_stored_total (\d+)$/m.exec(shown)!
  await waitUntil(
    async () =>
      (await ask(`madsci_events_stored_total{instance="${instanceOf(busy)}"}`))[0]?.value[1] === count,
    'the last count in Prometheus',
    30_000,
  )
}, 240_000)
