import { isObject, type Value } from '@madsci-events/sdk/event'
import { countOf } from '../plural.ts'
import { legend, pad, toBar, toDuration, toStackedBar } from './chart.ts'
import { fit } from './event-line.ts'
import type { Output } from './terminal.ts'
import { wrap } from './wrap.ts'

/** Reports of utilization as lines that fit the terminal. */

export type Tree = { [key: string]: Value }

export interface Layout {
  /** Lines are no longer than this. */
  columns: number
  /** Too narrow for a table of all figures: they stand in a line of their own. */
  isNarrow: boolean
  /** Of what a line is about. */
  labelWidth: number
  /** Cells of a bar beside a label and so many columns of figures. */
  barWidth(figures: number): number
}

// For a file or another program: nothing is cut there that a wide terminal shows.
const fileColumns = 160
const wideColumns = 130

export function createLayout({ isTTY, columns = 80 }: Pick<Output, 'isTTY' | 'columns'>): Layout {
  const all = Math.max(60, isTTY ? columns : fileColumns)
  const isNarrow = all < wideColumns
  const labelWidth = isNarrow ? 20 : 24
  return {
    columns: all,
    isNarrow,
    labelWidth,
    barWidth: (figures) => Math.min(40, Math.max(8, all - labelWidth - 1 - figures)),
  }
}

export const listOf = (value: Value | undefined) => (Array.isArray(value) ? value.filter(isObject) : [])
export const treeOf = (value: Value | undefined): Tree => (isObject(value) ? value : {})
const numberOf = (value: Value | undefined): number | null => (typeof value === 'number' ? value : null)
const labelOf = ({ name, id }: Tree) => (name === null || name === undefined ? String(id) : String(name))
const percentOf = (value: Value | undefined) => {
  const number = numberOf(value)
  return number === null ? '- ' : `${number.toFixed(1).padStart(5)} %`
}
const secondsOf = (value: Value | undefined): string => {
  const number = numberOf(value)
  return toDuration(number === null ? null : number * 1e6)
}

/** What is always there can fail; of the others, it matters how long they waited and took. */
const isStanding = (by: Value | undefined) => by === 'node' || by === 'workcell' || by === 'lab'

/** The columns behind the bar: title and least width of each. */
const shares = [
  ['busy', 7],
  ['available', 9],
] as const
const runCounts = [
  ['runs', 6],
  ['failed', 6],
  ['open', 5],
] as const
const failureFigures = [
  ['failures', 8],
  ['MTBF', 8],
  ['MTTR', 8],
] as const
const waitFigures = [
  ['queue p50', 9],
  ['p90', 8],
  ['run p50', 8],
  ['p90', 8],
] as const
type Columns = readonly (readonly [title: string, width: number])[]

const toRow = (columns: Columns, cells: readonly string[]) =>
  columns.map(([, width], index) => ` ${cells[index]!.padStart(width)}`).join('')

export const nothingHeard = 'no event in this time speaks of such a thing'

export function summaryLines(answer: Tree, layout: Layout): string[] {
  if (listOf(answer.items).length === 0) return [nothingHeard]
  const hasFailures = isStanding(answer.by)
  const more: Columns = hasFailures ? failureFigures : waitFigures
  const columns: Columns = [...shares, ...(layout.isNarrow ? [] : more), ...runCounts]
  const width = layout.barWidth(columns.reduce((sum, [, one]) => sum + one + 1, 0))
  const head = `${pad(String(answer.by), layout.labelWidth)} ${' '.repeat(width)}`
  const titles = toRow(
    columns,
    columns.map(([title]) => title),
  )
  const lines = listOf(answer.items).flatMap((item) => {
    const [failures, runs] = [treeOf(item.failures), treeOf(item.runs)]
    const [queue, run] = [treeOf(item.queue), treeOf(item.run)]
    const figures = hasFailures
      ? [String(failures.failures ?? '-'), secondsOf(failures.mtbf_seconds), secondsOf(failures.mttr_seconds)]
      : [queue.p50_seconds, queue.p90_seconds, run.p50_seconds, run.p90_seconds].map(secondsOf)
    const cells = [
      percentOf(item.utilization_percent),
      percentOf(item.availability_percent),
      ...(layout.isNarrow ? [] : figures),
      ...[runs.total, runs.failed, runs.open].map(String),
    ]
    const bar = (totals: Value | undefined) =>
      toStackedBar(treeOf(totals) as { [state: string]: number }, width)
    const line = `${pad(labelOf(item), layout.labelWidth)} ${bar(item.totals_us)}${toRow(columns, cells)}`
    const buckets = listOf(item.buckets).map(
      ({ start_time, totals_us, utilization_percent }) =>
        `  ${pad(String(start_time).slice(0, 16), layout.labelWidth - 2)} ${bar(totals_us)} ${percentOf(utilization_percent)}`,
    )
    return [line, ...(layout.isNarrow ? toFigureLine(hasFailures, figures) : []), ...buckets]
  })
  return [head + titles, ...lines, legend]
}

/** Below a line of a narrow table, where there is something to tell. */
function toFigureLine(hasFailures: boolean, figures: readonly string[]): string[] {
  const [first = '', second, third, fourth] = figures
  const repair = third === '-' ? 'not repaired yet' : `${third} to repair (MTTR)`
  if (hasFailures)
    return Number(first) > 0
      ? [`  ${countOf(Number(first), 'failure')}, ${second} between failures (MTBF), ${repair}`]
      : []
  return [`  queued ${first} (p90 ${second}), ran ${third} (p90 ${fourth})`]
}

function barLine(label: string, percent: Value | undefined, layout: Layout): string {
  const bar = toBar(numberOf(percent), layout.barWidth(11))
  return `  ${pad(label, layout.labelWidth)} ${bar} ${percentOf(percent)}`
}

export function sessionLines(answer: Tree, layout: Layout): string[] {
  return listOf(answer.session_details).flatMap((session) => {
    const [start, end] = [session.start_time, session.end_time].map(toMoment)
    const nodes = Object.values(treeOf(session.node_utilizations)).map(treeOf)
    const names = nodes.map(({ display_name }) => withoutId(String(display_name)))
    return [
      fit(`${session.session_name}  ${start} to ${end} UTC`, layout.columns),
      barLine('experiments', session.system_utilization_percent, layout),
      ...nodes.map((node, index) => {
        const isAlone = names.filter((name) => name === names[index]).length === 1
        const label = isAlone ? names[index]! : String(node.display_name)
        return barLine(label, node.utilization_percent, layout)
      }),
    ]
  })
}

const toMoment = (time: Value | undefined) => String(time).slice(0, 19).replace('T', ' ')

/** MADSci's report puts the end of its id behind the name of each node. */
function withoutId(name: string): string {
  const at = name.lastIndexOf(' (')
  return at > 0 && name.endsWith(')') ? name.slice(0, at) : name
}

export function periodLines(answer: Tree, layout: Layout): string[] {
  return listOf(treeOf(answer.time_series).system).map((period) =>
    barLine(String(period.period_display), period.utilization, layout),
  )
}

export function userLines(answer: Tree, layout: Layout): string[] {
  const users = Object.values(treeOf(answer.user_utilization)).map(treeOf)
  const most = Math.max(...users.map((user) => numberOf(user.total_runtime_hours) ?? 0))
  const texts = users.map(
    ({ total_runtime_hours: hours, total_workflows: total, completion_rate_percent: rate }) =>
      `${numberOf(hours) ?? 0} h in ${countOf(numberOf(total) ?? 0, 'workflow')}, ${rate} % completed`,
  )
  const width = layout.barWidth(2 + Math.max(...texts.map((text) => text.length)))
  return users.map((user, index) => {
    const hours = numberOf(user.total_runtime_hours) ?? 0
    const bar = toBar(most === 0 ? 0 : (hours / most) * 100, width)
    return fit(`${pad(String(user.author), layout.labelWidth)} ${bar}  ${texts[index]}`, layout.columns)
  })
}

/** The longest first; those that nobody would notice as a number. */
export function waitLines(answer: Tree, leastMs: number, layout: Layout): string[] {
  const waits = listOf(answer.waits)
  const long = waits.filter(({ wait_us }) => (numberOf(wait_us) ?? 0) >= leastMs * 1000)
  const total = numberOf(answer.total_waits) ?? 0
  const shown = waits.length < total ? `, of which the ${waits.length} longest are looked at` : ''
  const reasonWidth = Math.max(...long.map(({ reason }) => String(reason).length))
  const lines = [
    `${countOf(total, 'wait')}${shown}`,
    ...long.map((wait) => fit(waitLine(wait, reasonWidth, layout), layout.columns)),
  ]
  const count = waits.length - long.length
  if (count > 0)
    lines.push(
      `${countOf(count, 'is', 'are')} shorter than ${leastMs} ms; --least_ms=0 shows ${count === 1 ? 'it' : 'them'}, too`,
    )
  return lines
}

function waitLine(wait: Tree, reasonWidth: number, { isNarrow }: Layout): string {
  const { reason, waiter_kind, waiter_id, waiter_name, start_time, wait_us, node_id, node_name, held_by } =
    wait
  const held = typeof held_by === 'string' ? `, held by ${holdersOf(held_by)}` : ''
  const what = node_id === null ? 'nothing known' : `${node_name ?? node_id}${held}`
  const time = String(start_time)
    .slice(isNarrow ? 5 : 0, 19)
    .replace('T', ' ')
  return `${time} ${toDuration(numberOf(wait_us)).padStart(8)}  ${String(reason).padEnd(reasonWidth)} ${waiter_kind} ${waiter_name ?? waiter_id} for ${what}`
}

/** Ids of actions, which have no name: the first by its end. */
function holdersOf(ids: string): string {
  const [first = '', ...others] = ids.split(' ')
  const id = first.length > 8 ? `…${first.slice(-6)}` : first
  return others.length === 0 ? `action ${id}` : `action ${id} and ${others.length} more`
}

export function compareLines(answer: Tree, { columns }: Layout): string[] {
  return listOf(answer.subjects).flatMap((subject) => {
    const [original, exact] = [treeOf(subject.original_us), treeOf(subject.exact_us)]
    const head = `${subject.kind} ${labelOf(subject)}: busy ${toDuration(numberOf(original.busy))} in MADSci's own report, ${toDuration(numberOf(exact.busy))} exactly`
    const differences = listOf(subject.differences).map(
      ({ original: says, exact: is, duration_us, reason, because, event_ids }) =>
        `  ${toDuration(numberOf(duration_us)).padEnd(9)} ${`${says}, is ${is}`.padEnd(20)} ${reason}: ${because}${Array.isArray(event_ids) && event_ids.length > 0 ? ` (${event_ids.slice(0, 3).join(', ')}${event_ids.length > 3 ? ', …' : ''})` : ''}`,
    )
    return [...wrap(head, 2, columns), ...differences.flatMap((line) => wrap(line, 12, columns))]
  })
}
