import { toCsvCell } from '../../csv-cell.ts'
import { type Num, numberText, type Tree } from './number.ts'

type Cell = string | null | undefined | Num | boolean

/** Rows as Python's csv writes them: CRLF, quotes only where they are needed, an empty row is an empty line; formulas are made inert. */
export function toCsv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(toCell).join(',')}\r\n`).join('')
}

function toCell(value: Cell): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'bigint') return numberText(value)
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return isTitle(value) ? value : toCsvCell(value)
}

/** Of a part, as the original has it: no formula, and without an apostrophe in front. */
const isTitle = (value: string) => /^=== [A-Z ]+ ===$/.test(value)

type Node = { [key: string]: Tree }

/** A member of a report; a report is made by ourselves, so what is asked for is there. */
function at(tree: Tree | undefined, ...keys: string[]): Tree | undefined {
  let found = tree
  for (const key of keys) found = found instanceof Map ? found.get(key) : (found as Node | undefined)?.[key]
  return found
}

const cell = (tree: Tree | undefined): Cell =>
  typeof tree === 'object' && tree !== null ? JSON.stringify(tree) : tree
const list = (tree: Tree | undefined): Tree[] =>
  tree instanceof Map ? [...tree.values()] : Array.isArray(tree) ? tree : []

/** Rows `label,value` of one object. */
const pairs = (tree: Tree | undefined, labels: { [label: string]: string }): Cell[][] =>
  Object.entries(labels).map(([label, key]) => [label, cell(at(tree, key))])

/** A header and one row for each of the list. */
const table = (trees: readonly Tree[], columns: { [label: string]: string }): Cell[][] => [
  Object.keys(columns),
  ...trees.map((tree) => Object.values(columns).map((key) => cell(at(tree, key)))),
]

export function toSessionsCsv(report: Tree): string {
  const summary = at(report, 'overall_summary')
  const nodes = at(summary, 'node_summary') as ReadonlyMap<string, Tree>
  return toCsv([
    ['=== UTILIZATION REPORT ==='],
    [],
    ['Report Metadata'],
    ...pairs(at(report, 'report_metadata'), {
      'Generated At': 'generated_at',
      'Analysis Start': 'analysis_start',
      'Analysis End': 'analysis_end',
      'Total Sessions': 'total_sessions',
      'Analysis Duration (hours)': 'analysis_duration_hours',
    }),
    [],
    ['Overall Summary'],
    ...pairs(summary, {
      'Total Sessions': 'total_sessions',
      'Total System Runtime (hours)': 'total_system_runtime_hours',
      'Total Active Time (hours)': 'total_active_time_hours',
      'Average System Utilization (%)': 'average_system_utilization_percent',
      'Total Experiments': 'total_experiments',
      'Nodes Tracked': 'nodes_tracked',
    }),
    [],
    ['=== SESSION DETAILS ==='],
    ...table(list(at(report, 'session_details')), {
      'Session Type': 'session_type',
      'Session Name': 'session_name',
      'Start Time': 'start_time',
      'End Time': 'end_time',
      'Duration (hours)': 'duration_hours',
      'System Utilization (%)': 'system_utilization_percent',
      'Total Experiments': 'total_experiments',
      'Nodes Active': 'nodes_active',
    }),
    [],
    ...(nodes.size === 0
      ? []
      : [
          ['=== NODE SUMMARY ==='],
          ['Node ID', 'Average Utilization (%)', 'Total Busy Time (hours)', 'Sessions Active'],
          ...[...nodes].map(([id, node]) => [
            id,
            cell(at(node, 'average_utilization_percent')),
            cell(at(node, 'total_busy_time_hours')),
            cell(at(node, 'sessions_active')),
          ]),
        ]),
  ])
}

export function toUserCsv(report: Tree): string {
  return toCsv([
    ['=== DETAILED USER UTILIZATION REPORT ==='],
    [],
    ['Report Metadata'],
    ...pairs(at(report, 'report_metadata'), {
      'Generated At': 'generated_at',
      'Analysis Start': 'analysis_start',
      'Analysis End': 'analysis_end',
      'Total Users': 'total_users',
      'Total Workflows': 'total_workflows',
    }),
    [],
    ['System Summary'],
    ...pairs(at(report, 'system_summary'), {
      'Total Workflows': 'total_workflows',
      'Total Runtime (hours)': 'total_runtime_hours',
      'Average Workflow Duration (hours)': 'average_workflow_duration_hours',
      'Completion Rate (%)': 'completion_rate_percent',
      'Author Attribution Rate (%)': 'author_attribution_rate_percent',
    }),
    [],
    ['=== USER DETAILS ==='],
    ...table(list(at(report, 'user_utilization')), {
      Author: 'author',
      'Total Workflows': 'total_workflows',
      Completed: 'completed_workflows',
      Failed: 'failed_workflows',
      Cancelled: 'cancelled_workflows',
      'Total Runtime (hours)': 'total_runtime_hours',
      'Avg Duration (hours)': 'average_workflow_duration_hours',
      'Completion Rate (%)': 'completion_rate_percent',
      'Shortest (hours)': 'shortest_workflow_hours',
      'Longest (hours)': 'longest_workflow_hours',
    }),
  ])
}

export function toPeriodsCsv(report: Tree): string {
  const nodes = list(at(report, 'node_summary'))
  const workcells = list(at(report, 'workcell_summary'))
  const users = at(report, 'user_utilization', 'top_users')
  const experiments = list(at(report, 'experiment_details', 'experiments'))
  const more = Number(at(report, 'experiment_details', 'total_experiments')) - experiments.length
  const isDaily = at(report, 'summary_metadata', 'analysis_type') === 'daily'
  return toCsv([
    ['=== UTILIZATION PERIODS REPORT ==='],
    [],
    ['Metadata'],
    ...pairs(at(report, 'summary_metadata'), {
      'Analysis Type': 'analysis_type',
      'Generated At': 'generated_at',
      'Period Start': 'period_start',
      'Period End': 'period_end',
      'User Timezone': 'user_timezone',
      'Total Periods': 'total_periods',
    }),
    [],
    ['Key Metrics'],
    ...pairs(at(report, 'key_metrics'), {
      'Average Utilization (%)': 'average_utilization',
      'Peak Utilization (%)': 'peak_utilization',
      'Peak Period': 'peak_period',
      'Total Experiments': 'total_experiments',
      'Total Runtime (hours)': 'total_runtime_hours',
      'Total Active Time (hours)': 'total_active_time_hours',
      'Active Periods': 'active_periods',
      'Total Periods': 'total_periods',
    }),
    [],
    ['=== TIME SERIES DATA ==='],
    ...table(list(at(report, 'time_series', 'system')), {
      'Period Number': 'period_number',
      'Period Type': 'period_type',
      'Period Display': 'period_display',
      Date: 'date',
      'Start Time': 'start_time',
      'Utilization (%)': 'utilization',
      Experiments: 'experiments',
      'Runtime (hours)': 'runtime_hours',
    }),
    [],
    ['=== NODE SUMMARY ==='],
    ...(nodes.length > 0
      ? table(nodes, {
          'Node ID': 'node_id',
          'Node Name': 'node_name',
          'Display Name': 'display_name',
          'Average Utilization (%)': 'average_utilization',
          'Peak Utilization (%)': 'peak_utilization',
          'Peak Period': 'peak_period',
          'Total Busy (hours)': 'total_busy_hours',
        })
      : [
          [
            isDaily
              ? 'No node activity detected during this daily analysis period'
              : 'No node data available for this time period',
          ],
        ]),
    [],
    ...section('WORKCELL SUMMARY', workcells, {
      'Workcell ID': 'workcell_id',
      'Workcell Name': 'workcell_name',
      'Display Name': 'display_name',
      'Average Utilization (%)': 'average_utilization',
      'Peak Utilization (%)': 'peak_utilization',
      'Peak Period': 'peak_period',
      'Total Experiments': 'total_experiments',
      'Total Runtime (hours)': 'total_runtime_hours',
      'Total Active Time (hours)': 'total_active_time_hours',
    }),
    ...(users === undefined
      ? []
      : section(
          'USER UTILIZATION',
          list(users),
          {
            Author: 'author',
            'Total Workflows': 'total_workflows',
            'Total Runtime (hours)': 'total_runtime_hours',
            'Completion Rate (%)': 'completion_rate_percent',
            'Average Workflow Duration (hours)': 'average_workflow_duration_hours',
          },
          true,
        )),
    ...(experiments.length === 0
      ? []
      : [
          ['=== EXPERIMENT DETAILS ==='],
          ...table(experiments, {
            'Experiment ID': 'experiment_id',
            'Experiment Name': 'experiment_name',
            'Start Time': 'start_time',
            'End Time': 'end_time',
            Status: 'status',
            'Duration (hours)': 'duration_hours',
            'Duration Display': 'duration_display',
          }),
          ...(more > 0 ? [[`... and ${more} more experiments`]] : []),
          [],
        ]),
  ])
}

function section(
  title: string,
  trees: readonly Tree[],
  columns: { [label: string]: string },
  evenEmpty = false,
): Cell[][] {
  return trees.length === 0 && !evenEmpty ? [] : [[`=== ${title} ===`], ...table(trees, columns), []]
}
