import { EventError, isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import { parseZone } from '../config/value.ts'
import type { CommandCall } from './call.ts'
import { createGantt, legend, pad } from './chart.ts'
import { toTime } from './event-filter.ts'
import { findId, findUnknownIds } from './names.ts'
import { ask, baseUrl, setParameters } from './remote.ts'
import type { Terminal } from './terminal.ts'
import {
  compareLines,
  createLayout,
  type Layout,
  nothingHeard,
  periodLines,
  sessionLines,
  summaryLines,
  type Tree,
  treeOf,
  userLines,
  waitLines,
} from './utilization-line.ts'
import { wrong } from './wrong.ts'

export const exactReports = ['timeline', 'summary', 'waits', 'compare'] as const
export const originalReports = ['sessions', 'periods', 'user'] as const

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
  const base = baseUrl(call, terminal)
  const url = new URL(`utilization/${report}`, base)
  const options = { ...call.options, ...toBounds(call.options) }
  checkWords(report, options)
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
    for (const kind of filterKinds) {
      const name = options[kind]
      if (name !== undefined)
        url.searchParams.set(`${kind}_id`, await findId(base, { kind, name: String(name) }))
    }
    const given = filterKinds.flatMap((kind) => {
      const id = call.options[`${kind}_id`]
      return id === undefined ? [] : { kind, name: String(id) }
    })
    for (const line of await findUnknownIds(base, given)) terminal.stderr.line(line)
    if (format !== undefined) url.searchParams.set('format', String(format))
  } else {
    setParameters(url, options, ['analysis_type', 'include_users', 'output_path'])
    if (options.output_path !== undefined) return save(url, terminal, format)
    if (report === 'periods') {
      // MADSci's own default is America/Chicago, wherever the laboratory is.
      const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
      url.searchParams.set('user_timezone', String(options.zone ?? timeZone))
    }
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
  const layout = createLayout(terminal.stdout)
  const lines = await (report === 'timeline'
    ? drawTimeline(url, layout, terminal)
    : drawPicture(report, url, { layout, leastMs: toLeastMs(options) }))
  for (const line of lines.length > 0 ? lines : [nothingHeard]) terminal.stdout.line(line)
  if (!isExact) terminal.stdout.line("counted as in MADSci's own report; 'utilization summary' is exact")
  return 0
}

const filterKinds = ['node', 'workcell', 'experiment'] as const

type Options = CommandCall['options']

/** Times in the words of `query`, as timestamps. */
function toBounds({ start_time, end_time, since }: Options): Options {
  if (since !== undefined && start_time !== undefined)
    throw wrong('--since and --start_time are the same: give one of them')
  const now = new Date()
  const start = start_time ?? since
  return {
    ...(start !== undefined && {
      start_time: toTime(start_time === undefined ? 'since' : 'start_time', String(start), now),
    }),
    ...(end_time !== undefined && { end_time: toTime('end_time', String(end_time), now) }),
  }
}

/** The words that the receiver knows for each option. */
export const choices: { [name: string]: readonly string[] } = {
  by: ['node', 'workcell', 'lab', 'user', 'experiment', 'workflow_type'],
  bucket: ['hour', 'day', 'week', 'month'],
  kind: ['lab', 'workcell', 'node', 'campaign', 'experiment', 'workflow', 'step', 'action'],
  analysis_type: ['hourly', 'daily', 'weekly', 'monthly'],
  format: ['json', 'csv', 'ndjson'],
}

/** Throws for what no receiver would take, in the words of the command line. */
function checkWords(report: string, options: Options): void {
  for (const [name, words] of Object.entries(choices)) {
    const given = options[name]
    if (given === undefined) continue
    const list = name === 'kind' ? String(given).split(',') : [String(given)]
    const unknown = list.find((one) => !words.includes(one.trim()))
    if (unknown !== undefined) throw wrong(`--${name} must be one of ${words.join(', ')}: '${unknown}'`)
  }
  const { limit } = options
  if (limit !== undefined && (limit === true || !Number.isInteger(Number(limit)) || Number(limit) < 1))
    throw wrong(`--limit must be a whole number from 1: '${limit}'`)
  if (options.zone !== undefined)
    try {
      parseZone(String(options.zone))
    } catch {
      throw wrong(`--zone must be an IANA time zone, like Europe/Berlin: '${options.zone}'`)
    }
  if ((originalReports as readonly string[]).includes(report)) {
    const filter = filterKinds.find((kind) => options[kind] !== undefined)
    if (filter !== undefined)
      throw wrong(`${report} is of everything: --${filter} goes with ${exactReports.join(', ')}`)
  }
  if (report === 'periods' && (options.start_time === undefined || options.end_time === undefined))
    throw wrong('periods needs --start_time=… and --end_time=…, like --start_time=2026-11-01 --end_time=now')
}

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

// The rest of a terminal's page, after the question and the legend.
const timelineLines = 40
/** What is there all the time; all other kinds come and go, each at its moment. */
const standingKinds: readonly string[] = ['lab', 'workcell', 'node']

/** Of nodes and workcells, unless other kinds are asked for: one line each, those that began last when there are many. */
async function drawTimeline(url: URL, layout: Layout, { stderr }: Terminal): Promise<string[]> {
  const { columns } = layout
  const limit = url.searchParams.get('limit')
  if (!url.searchParams.has('kind')) url.searchParams.set('kind', 'workcell,node')
  const kinds = url.searchParams
    .get('kind')!
    .split(',')
    .map((kind) => kind.trim())
  const labelWidth = layout.labelWidth + (kinds.every((kind) => standingKinds.includes(kind)) ? 0 : 10)
  const probe = new URL(url)
  probe.searchParams.set('limit', '1')
  const { start_time, end_time, zone } = treeOf((await askJson(probe)).report_metadata)
  url.searchParams.set('format', 'ndjson')
  url.searchParams.delete('limit')
  // The window as it was, whatever comes meanwhile.
  url.searchParams.set('start_time', String(start_time))
  url.searchParams.set('end_time', String(end_time))
  const window = { start: microsOf(start_time), end: microsOf(end_time) }
  const width = Math.min(80, Math.max(40, columns - labelWidth - 1))
  const gantts = new Map(
    kinds.map((kind) => {
      const most = limit !== null ? Number(limit) : standingKinds.includes(kind) ? Infinity : timelineLines
      return [kind, createGantt(window, width, most)]
    }),
  )
  let text = ''
  const take = (line: string) => {
    if (line === '') return
    const row = JSON.parse(line) as { [key: string]: string }
    const { kind, id, name, state } = row
    const time = standingKinds.includes(kind!) ? '' : `${row.start_time!.slice(11, 19)} `
    gantts
      .get(kind!)
      ?.add(
        `${kind}:${id}`,
        `${time}${kind} ${name ?? id}`,
        state!,
        microsOf(row.start_time),
        microsOf(row.end_time),
      )
  }
  for await (const chunk of (await ask(url)).body!.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split('\n')
    text = lines.pop()!
    for (const line of lines) take(line)
  }
  take(text)
  const head = `${String(start_time).slice(0, 19)}${' '.repeat(width - 38)}${String(end_time).slice(0, 19)}`
  const rows = [...gantts].flatMap(([kind, gantt]) => {
    const lines = gantt.lines(labelWidth)
    if (gantt.added > lines.length)
      stderr.line(
        `the last ${lines.length} of ${gantt.added} of kind ${kind}: --limit=${gantt.added} shows all, --since=10m those of a shorter time`,
      )
    return lines
  })
  return rows.length > 0 ? [`${pad(String(zone), labelWidth)} ${head}`, ...rows, legend] : []
}

const microsOf = (text: Value | undefined) => Date.parse(String(text)) * 1000

async function drawPicture(
  report: string,
  url: URL,
  { layout, leastMs }: { layout: Layout; leastMs: number },
): Promise<string[]> {
  const answer = await askJson(url)
  switch (report) {
    case 'summary':
      return summaryLines(answer, layout)
    case 'waits':
      return waitLines(answer, leastMs, layout)
    case 'compare':
      return compareLines(answer, layout)
    case 'sessions':
      return sessionLines(answer, layout)
    case 'periods':
      return periodLines(answer, layout)
    default:
      return userLines(answer, layout)
  }
}

function toLeastMs({ least_ms: given = '1000' }: CommandCall['options']): number {
  const leastMs = Number(given)
  if (given === true || given === '' || !(leastMs >= 0))
    throw wrong(`--least_ms must be a number of milliseconds: '${given}'`)
  return leastMs
}
