import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createEventId } from '@madsci-events/sdk/event'
import { afterEach, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { counters, gauges } from '../../receiver/src/metric.ts'
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
  await copyFile(join(root, 'docker/alerts.rules.yaml'), join(folder, 'alerts.rules.yaml'))
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

it('the rules are those of the guide, name metrics that there are, and fire in a real Prometheus', async ({
  skip,
}) => {
  const text = await readFile(join(root, 'docker/alerts.rules.yaml'), 'utf8')
  const { rules } = parse(text).groups[0] as {
    rules: { alert: string; expr: string; for: string; labels: { severity: string } }[]
  }
  const guide = await readFile(join(root, 'receiver/docs/guide-operator.md'), 'utf8')
  const runbook = guide.slice(guide.indexOf('\n## When a rule fires\n'))
  expect([...runbook.matchAll(/^\| `([A-Z]\w+)` \|/gm)].map(([, name]) => name)).toEqual(
    rules.map(({ alert }) => alert),
  )
  const known = new Set([
    ...Object.keys(counters).map((name) => `madsci_${name}_total`),
    ...Object.keys(gauges).map((name) => `madsci_${name}`),
  ])
  for (const { expr } of rules)
    for (const [name] of expr.matchAll(/madsci_\w+/g)) expect(known, name).toContain(name)

  const binary = findPeer('PROMETHEUS_BINARY')
  if ('skip' in binary) return skip(binary.skip)
  const promtool = join(dirname(binary.path), 'promtool')
  if (!existsSync(promtool)) return skip('there is no promtool beside Prometheus')
  const folder = await mkdtemp(join(tmpdir(), 'madsci-rules-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  // What each rule sees: nothing wrong for 20 minutes, then something that goes on (`_x20` is 20 points, `1x20` is 21).
  const bad: { [alert: string]: [series: string, values: string] } = {
    ReceiverDown: ['up{job="madsci-events"}', '1x20 0x20'],
    StoreDown: ['madsci_store_up', '1x20 0x20'],
    ConservationViolated: ['madsci_conservation_violations_total{kind="lost"}', '_x20 1x20'],
    CanaryLost: ['madsci_canary_lost_total{stage="id"}', '_x20 1x20'],
    NotificationsGivenUp: ['madsci_alerts_undeliverable', '0x20 1x20'],
    AlertsStalled: ['madsci_alerts_stalled_seconds', '0x20 61x20'],
    FanoutLags: ['madsci_fanout_lag_seconds{destination="loki"}', '0x20 301x20'],
    EventsRejected: ['madsci_events_rejected_total', '5x20 6x20'],
  }
  const tests = {
    rule_files: [join(root, 'docker/alerts.rules.yaml')],
    evaluation_interval: '1m',
    tests: rules.map(({ alert, labels }) => {
      const [series, values] = bad[alert]!
      const own = Object.fromEntries(
        [...series.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      )
      return {
        interval: '1m',
        input_series: [{ series, values }],
        promql_expr_test: [
          {
            expr: `count(ALERTS{alertname="${alert}"}) or vector(0)`,
            eval_time: '18m',
            exp_samples: [{ labels: '{}', value: 0 }],
          },
          {
            expr: `ALERTS{alertname="${alert}", alertstate="firing"}`,
            eval_time: '30m',
            exp_samples: [
              {
                labels: `ALERTS${JSON.stringify({ ...own, ...labels, alertname: alert, alertstate: 'firing' }).replace(/"(\w+)":/g, '$1=')}`,
                value: 1,
              },
            ],
          },
        ],
      }
    }),
  }
  await writeFile(join(folder, 'test.yaml'), stringify(tests))
  const { stdout } = await promisify(execFile)(promtool, ['test', 'rules', join(folder, 'test.yaml')]).catch(
    (error: Error & { stdout: string; stderr: string }) => {
      throw new Error(`${error.stdout}${error.stderr}`)
    },
  )
  expect(stdout).toContain('SUCCESS')
}, 60_000)
