import { readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { bounds, counters, gauges, histograms, labels, type Metric } from './metric.ts'

/** The two forms that Prometheus reads, by their content types. */
export const metricTypes = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const
export type MetricForm = keyof typeof metricTypes

/** The form that an Accept header asks for. */
export function metricFormOf(accept: string | undefined): MetricForm {
  return accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus'
}

/**
 * Everything that the receiver counts, as text for Prometheus. Counters without a label and those whose labels are known are
 * there from the beginning with 0, so that a rate can be seen from the first event on. Sources: Prometheus text format 0.0.4, OpenMetrics 1.0.
 *
 * Written here and not by `@opentelemetry/exporter-prometheus`, which has the first of the two forms and not the second
 * (`test/receiver/http/metrics.test.ts`, "what OpenTelemetry's packages for metrics do").
 */
export function toMetricText(metric: Metric, form: MetricForm): string {
  const lines: string[] = []
  const head = (name: string, type: string, about: string) => {
    const family = form === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name
    lines.push(`# HELP ${family} ${escapeHelp(about)}`, `# TYPE ${family} ${type}`)
  }

  const counts = metric.read()
  for (const [name, about] of entries(counters)) {
    const full = `madsci_${name}_total`
    head(full, 'counter', about)
    const own = counts.filter((one) => one.name === name)
    if (own.length === 0 && labels[name] === undefined) lines.push(`${full} 0`)
    for (const { reason, count } of own) lines.push(`${full}${labelText(name, reason)} ${count}`)
  }
  const values = metric.readGauges()
  for (const [name, about] of entries(gauges)) {
    const own = values.filter((one) => one.name === name)
    if (own.length === 0) continue
    head(`madsci_${name}`, 'gauge', about)
    for (const { label, value } of own) lines.push(`madsci_${name}${labelText(name, label)} ${value}`)
  }
  const observed = metric.readHistograms()
  for (const [name, about] of entries(histograms)) {
    head(`madsci_${name}`, 'histogram', about)
    for (const one of observed) {
      if (one.name !== name) continue
      const label = one.label === '' ? '' : `${labels[name]}="${escapeLabel(one.label)}",`
      let sum = 0
      one.buckets.forEach((count, index) => {
        sum += count
        const bound = index < bounds.length ? toFloat(bounds[index]!, form) : '+Inf'
        lines.push(`madsci_${name}_bucket{${label}le="${bound}"} ${sum}`)
      })
      const set = labelText(name, one.label)
      lines.push(`madsci_${name}_sum${set} ${one.sumSeconds}`, `madsci_${name}_count${set} ${one.count}`)
    }
  }
  for (const { name, type, about, value } of readProcessFigures()) {
    head(name, type, about)
    lines.push(`${name} ${value}`)
  }
  if (form === 'openmetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

export interface Figure {
  name: string
  type: 'gauge' | 'counter'
  about: string
  value: number
}

let lastUtilization = performance.eventLoopUtilization()

/** Of the process, by the names that Prometheus' client libraries give them. */
export function readProcessFigures(): Figure[] {
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const now = performance.eventLoopUtilization()
  const { utilization } = performance.eventLoopUtilization(now, lastUtilization)
  lastUtilization = now
  const figure = (name: string, about: string, value: number, type: Figure['type'] = 'gauge') => ({
    name,
    type,
    about,
    value,
  })
  const files = countFiles()
  return [
    figure('process_cpu_seconds_total', 'CPU time of the process', (user + system) / 1e6, 'counter'),
    figure('process_start_time_seconds', 'Start, seconds since 1970', performance.timeOrigin / 1000),
    figure('process_resident_memory_bytes', 'Memory of the process', rss),
    ...(files === undefined ? [] : [figure('process_open_fds', 'Open files and sockets', files)]),
    figure('nodejs_heap_size_used_bytes', 'Memory of JavaScript in use', heapUsed),
    figure('nodejs_eventloop_utilization', 'Part of the time since the last reading', utilization),
  ]
}

function countFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

const entries = <Name extends string>(list: { [name in Name]: string }) =>
  Object.entries(list) as [Name, string][]

function labelText(name: keyof typeof labels, label: string): string {
  return label === '' ? '' : `{${labels[name] ?? 'reason'}="${escapeLabel(label)}"}`
}

// OpenMetrics wants the canonical form of a float.
function toFloat(bound: number, form: MetricForm): string {
  return form === 'openmetrics' && Number.isInteger(bound) ? `${bound}.0` : String(bound)
}

const escapeHelp = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
const escapeLabel = (text: string) => escapeHelp(text.toWellFormed()).replaceAll('"', '\\"')
