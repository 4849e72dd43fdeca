import { EventError, isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import type { CommandCall } from './call.ts'
import { createGantt, legend, pad, toBar, toDuration, toStackedBar } from './chart.ts'
import { ask, baseUrl, setParameters } from './remote.ts'
import type { Terminal } from './terminal.ts'

export const exactReports = ['timeline', 'summary', 'waits', 'compare'] as const
export const originalReports = ['sessions', 'periods', 'user'] as const

const barWidth = 40
const labelWidth = 24

/** Reports of a running receiver: as a picture, or as they are with --json and --format. */
export async function utilization(call: CommandCall, terminal: Terminal): Promise<number> {
  const report = call.arguments[0] ?? 'summary'
  const isExact = (exactReports as readonly string[]).includes(report)
  if (!isExact && !(originalReports as readonly string[]).includes(report)) {
    terminal.stderr.line(
      `'${report}' is no report; there are: ${[...exactReports, ...originalReports].join(', ')}`,
    )
    return 2
  }
  const url = new URL(`utilization/${report}`, baseUrl(call, terminal))
  const { options } = call
  setParameters(url, options, ['start_time', 'end_time'])
  const format = options.format ?? (options.json ? 'json' : undefined)
  if (isExact) {
    setParameters(url, options, [
      'zone',
      'node_id',
      'workcell_id',
      'user',
      'experiment_id',
      'kind',
      'by',
      'bucket',
    ])
    setParameters(url, options, ['limit', 'cursor'])
    if (format !== undefined) url.searchParams.set('format', String(format))
  } else {
    setParameters(url, options, ['analysis_type', 'include_users', 'output_path'])
    if (options.output_path !== undefined) return save(url, terminal, format)
    if (options.zone !== undefined) url.searchParams.set('user_timezone', String(options.zone))
    if (format === 'csv') url.searchParams.set('csv_format', 'true')
    else if (format === 'ndjson') {
      terminal.stderr.write(`${report} comes as json or csv\n`)
      return 2
    }
  }
  if (format !== undefined && !isExact) {
    const text = await (await ask(url)).text()
    if (text.startsWith('{"error":')) toTree(text, url)
    terminal.stdout.write(format === 'json' ? `${text}\n` : text)
    return 0
  }
  if (format !== undefined) {
    const answer = await ask(url)
    const decoder = new TextDecoder()
    for await (const chunk of answer.body!) terminal.stdout.write(decoder.decode(chunk, { stream: true }))
    if (format === 'json') terminal.stdout.write('\n')
    return 0
  }
  const lines = await (report === 'timeline' ? drawTimeline(url) : draw(report, url, toLeastMs(options)))
  for (const line of lines) terminal.stdout.line(line)
  return 0
}

type Tree = { [key: string]: Value }

/** Has the receiver save the report, and says where. */
async function save(url: URL, terminal: Terminal, format: Value | undefined): Promise<number> {
  url.searchParams.set('csv_format', 'true')
  url.searchParams.set('save_to_file', 'true')
  const text = await (await ask(url)).text()
  const { file_path } = toTree(text, url)
  if (format === 'json') terminal.stdout.write(`${text}\n`)
  else terminal.stdout.line(String(file_path))
  return 0
}

async function askJson(url: URL): Promise<Tree> {
  return toTree(await (await ask(url)).text(), url)
}

function toTree(text: string, url: URL): Tree {
  const answer = parseJson(text)
  if (!isObject(answer)) throw new EventError('EVT_JSON', `${url.pathname} answered no report`)
  // MADSci's own reports answer 200 with {"error": …}.
  if (typeof answer.error === 'string') throw new EventError('EVT_REFUSED', answer.error)
  return answer
}

const listOf = (value: Value | undefined) => (Array.isArray(value) ? value.filter(isObject) : [])
const treeOf = (value: Value | undefined): Tree => (isObject(value) ? value : {})
const numberOf = (value: Value | undefined): number | null => (typeof value === 'number' ? value : null)
const labelOf = ({ name, id }: Tree) => (name === null || name === undefined ? String(id) : String(name))
const percentOf = (value: Value | undefined) => `${(numberOf(value) ?? 0).toFixed(1).padStart(5)} %`

/** Of nodes and workcells, unless other kinds are asked for: one line each. */
async function drawTimeline(url: URL): Promise<string[]> {
  if (!url.searchParams.has('kind')) url.searchParams.set('kind', 'workcell,node')
  const probe = new URL(url)
  probe.searchParams.set('limit', '1')
  const { start_time, end_time, zone } = treeOf((await askJson(probe)).report_metadata)
  url.searchParams.set('format', 'ndjson')
  // The window as it was, whatever comes meanwhile.
  url.searchParams.set('start_time', String(start_time))
  url.searchParams.set('end_time', String(end_time))
  const window = { start: toMicros(start_time), end: toMicros(end_time) }
  const width = 80
  const gantt = createGantt(window, width)
  let text = ''
  const take = (line: string) => {
    if (line === '') return
    const row = JSON.parse(line) as { [key: string]: string }
    const { kind, id, name, state } = row
    gantt.add(
      `${kind}:${id}`,
      `${kind} ${name ?? id}`,
      state!,
      toMicros(row.start_time),
      toMicros(row.end_time),
    )
  }
  for await (const chunk of (await ask(url)).body!.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split('\n')
    text = lines.pop()!
    for (const line of lines) take(line)
  }
  take(text)
  const head = `${String(start_time).slice(0, 19)}${' '.repeat(width - 38)}${String(end_time).slice(0, 19)} ${zone}`
  return [`${' '.repeat(labelWidth)} ${head}`, ...gantt.lines(labelWidth), legend]
}

const toMicros = (text: Value | undefined) => Date.parse(String(text)) * 1000

async function draw(report: string, url: URL, leastMs: number): Promise<string[]> {
  const answer = await askJson(url)
  switch (report) {
    case 'summary':
      return [
        `${pad(String(answer.by), labelWidth)} ${' '.repeat(barWidth)}   busy    available  ${isStanding(answer.by) ? 'failures  MTBF      MTTR     ' : 'queue p50  p90       run p50   p90      '} runs`,
        ...listOf(answer.items).flatMap((item) => summaryLines(item, isStanding(answer.by))),
        legend,
      ]
    case 'waits':
      return waitLines(answer, leastMs)
    case 'compare':
      return listOf(answer.subjects).flatMap(compareLines)
    case 'sessions':
      return listOf(answer.session_details).flatMap((session) => [
        `${session.session_name}  ${session.start_time} to ${session.end_time}`,
        barLine('experiments', session.system_utilization_percent),
        ...Object.values(treeOf(session.node_utilizations)).map((node) =>
          barLine(String(treeOf(node).display_name), treeOf(node).utilization_percent),
        ),
      ])
    case 'periods':
      return listOf(treeOf(answer.time_series).system).map((period) =>
        barLine(String(period.period_display), period.utilization),
      )
    default: {
      const users = Object.values(treeOf(answer.user_utilization)).map(treeOf)
      const most = Math.max(...users.map((user) => numberOf(user.total_runtime_hours) ?? 0))
      return users.map((user) => {
        const hours = numberOf(user.total_runtime_hours) ?? 0
        const bar = toBar(most === 0 ? 0 : (hours / most) * 100, barWidth)
        return `${pad(String(user.author), labelWidth)} ${bar}  ${hours} h in ${user.total_workflows} workflows, ${user.completion_rate_percent} % completed`
      })
    }
  }
}

const barLine = (label: string, percent: Value | undefined) =>
  `  ${pad(label, labelWidth)} ${toBar(numberOf(percent), barWidth)} ${percentOf(percent)}`

/** What is always there can fail; of the others, it matters how long they waited and took. */
const isStanding = (by: Value | undefined) => by === 'node' || by === 'workcell' || by === 'lab'

function summaryLines(item: Tree, hasFailures: boolean): string[] {
  const bar = (totals: Value | undefined) =>
    toStackedBar(treeOf(totals) as { [state: string]: number }, barWidth)
  const failures = treeOf(item.failures)
  const runs = treeOf(item.runs)
  const seconds = (value: Value | undefined) => {
    const number = numberOf(value)
    return toDuration(number === null ? null : number * 1e6).padEnd(9)
  }
  const [queue, run] = [treeOf(item.queue), treeOf(item.run)]
  const figures = hasFailures
    ? [`${String(failures.failures ?? '-').padEnd(8)}`, failures.mtbf_seconds, failures.mttr_seconds]
    : [seconds(queue.p50_seconds).padEnd(10), queue.p90_seconds, run.p50_seconds, run.p90_seconds]
  const line = [
    pad(labelOf(item), labelWidth),
    bar(item.totals_us),
    percentOf(item.utilization_percent),
    ` ${percentOf(item.availability_percent)}`,
    `  ${figures[0]}`,
    ...figures.slice(1).map((one) => seconds(one)),
    `${runs.total} (${runs.failed} failed, ${runs.open} open)`,
  ].join(' ')
  return [
    line,
    ...listOf(item.buckets).map(
      ({ start_time, totals_us, utilization_percent }) =>
        `  ${pad(String(start_time).slice(0, 16), labelWidth - 2)} ${bar(totals_us)} ${percentOf(utilization_percent)}`,
    ),
  ]
}

function toLeastMs({ least_ms: given = '1000' }: CommandCall['options']): number {
  const leastMs = Number(given)
  if (given === true || given === '' || !(leastMs >= 0))
    throw new EventError('EVT_CONFIG', `--least_ms must be a number of milliseconds: '${given}'`)
  return leastMs
}

/** The longest first; those that nobody would notice as a number. */
function waitLines(answer: Tree, leastMs: number): string[] {
  const waits = listOf(answer.waits)
  const long = waits.filter(({ wait_us }) => (numberOf(wait_us) ?? 0) >= leastMs * 1000)
  const total = numberOf(answer.total_waits) ?? 0
  const shown = waits.length < total ? `, of which the ${waits.length} longest are looked at` : ''
  const lines = [`${total} waits${shown}`, ...long.map(waitLine)]
  const count = waits.length - long.length
  if (count > 0) lines.push(`${count} shorter than ${leastMs} ms; --least_ms=0 shows them, too`)
  return lines
}

function waitLine(wait: Tree): string {
  const { reason, waiter_kind, waiter_id, waiter_name, start_time, wait_us, node_id, node_name, held_by } =
    wait
  const held = typeof held_by === 'string' ? `, held by ${holdersOf(held_by)}` : ''
  const what = node_id === null ? 'nothing known' : `${node_name ?? node_id}${held}`
  return `${String(start_time).slice(0, 19)}  ${toDuration(numberOf(wait_us)).padEnd(9)} ${String(reason).padEnd(20)} ${waiter_kind} ${waiter_name ?? waiter_id} for ${what}`
}

/** Ids of actions, which have no name: the first by its end. */
function holdersOf(ids: string): string {
  const [first = '', ...others] = ids.split(' ')
  const id = first.length > 8 ? `…${first.slice(-6)}` : first
  return others.length === 0 ? `action ${id}` : `action ${id} and ${others.length} more`
}

function compareLines(subject: Tree): string[] {
  const [original, exact] = [treeOf(subject.original_us), treeOf(subject.exact_us)]
  const head = `${subject.kind} ${labelOf(subject)}: busy ${toDuration(numberOf(original.busy))} by the original, ${toDuration(numberOf(exact.busy))} exactly`
  return [
    head,
    ...listOf(subject.differences).map(
      ({ original: says, exact: is, duration_us, reason, because, event_ids }) =>
        `  ${toDuration(numberOf(duration_us)).padEnd(9)} ${`${says}, is ${is}`.padEnd(20)} ${reason}: ${because}${Array.isArray(event_ids) && event_ids.length > 0 ? ` (${event_ids.slice(0, 3).join(', ')}${event_ids.length > 3 ? ', …' : ''})` : ''}`,
    ),
  ]
}
