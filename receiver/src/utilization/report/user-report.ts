import type { ScannedEvent } from '../../store/event-scan.ts'
import { toMicros } from '../../store/instant.ts'
import type { Facts, WorkflowEvent } from './facts.ts'
import { type Num, plus, round, secondsBetween, sum, type Tree, toIsoText } from './number.ts'
import { firstText, isRecord, isTruthy } from './value.ts'
import type { Window } from './window.ts'

/** A workflow_start or workflow_complete as the report reads it; undefined without event_data.workflow_id. */
export function readWorkflow(event: ScannedEvent): WorkflowEvent | undefined {
  const id = firstText(event.field('workflow_id'))
  if (id === undefined) return undefined
  const isStart = event.type === 'workflow_start'
  const flatAuthor = trimmed(event.field('author'))
  const author =
    flatAuthor ??
    trimmed(member(event.field('definition_metadata'))) ??
    trimmed(member(event.field('workflow_definition_metadata')))
  const status = isStart ? undefined : event.field('status')
  return {
    micros: event.micros,
    isStart,
    id,
    author,
    flatAuthor,
    name: nameOrNothing(event.field('name')) ?? nameOrNothing(event.field('workflow_name')),
    status: isStart ? 'started' : toStatus(status),
    isPlainlyCompleted: !isStart && (status === undefined || status === 'completed'),
    durationSeconds: isStart ? undefined : toSeconds(event.field('duration_seconds')),
    spanSeconds: isStart ? undefined : secondsOfSpan(event.field('start_time'), event.field('end_time')),
  }
}

const nameOrNothing = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

const member = (value: unknown): unknown => (isRecord(value) ? value.author : undefined)

function trimmed(value: unknown): string | undefined {
  return (typeof value === 'string' && value.trim()) || undefined
}

const statusWords = ['completed', 'failed', 'cancelled', 'running']

function toStatus(status: unknown): string {
  if (typeof status === 'string') return status
  if (!isRecord(status)) return 'completed'
  const flag = statusWords.find((word) => isTruthy(status[word]))
  if (flag !== undefined) return flag
  const description = typeof status.description === 'string' ? status.description.toLowerCase() : ''
  return statusWords.find((word) => description.includes(word)) ?? 'completed'
}

function toSeconds(value: unknown): number | undefined {
  const seconds =
    typeof value === 'number' || typeof value === 'bigint'
      ? Number(value)
      : typeof value === 'string' && value.trim() !== ''
        ? Number(value)
        : Number.NaN
  return Number.isFinite(seconds) ? seconds : undefined
}

function secondsOfSpan(start: unknown, end: unknown): number | undefined {
  if (typeof start !== 'string' || typeof end !== 'string') return undefined
  const seconds = secondsBetween(toMicros(start), toMicros(end))
  return Number.isNaN(seconds) ? undefined : seconds
}

interface Workflow {
  id: string
  name: string
  author: string | undefined
  hasFlatAuthor: boolean
  startMicros: number | undefined
  endMicros: number | undefined
  status: string
  seconds: number | undefined
  isPlainlyCompleted: boolean
  /** The duration_seconds of its last completion, which alone enters the system's figures. */
  plainSeconds: number | undefined
}

function collect(facts: Facts, { startMicros, endMicros }: Window): Workflow[] {
  const workflows = new Map<string, Workflow>()
  for (const event of facts.workflows) {
    if (event.micros < startMicros || event.micros > endMicros) continue
    let workflow = workflows.get(event.id)
    if (!workflow) {
      workflow = {
        id: event.id,
        name: event.name ?? 'Unknown',
        author: event.author,
        hasFlatAuthor: event.flatAuthor !== undefined,
        startMicros: undefined,
        endMicros: undefined,
        status: 'unknown',
        seconds: undefined,
        isPlainlyCompleted: false,
        plainSeconds: undefined,
      }
      workflows.set(event.id, workflow)
    }
    workflow.author ??= event.author
    workflow.status = event.status
    if (event.isStart) workflow.startMicros = event.micros
    else {
      workflow.endMicros = event.micros
      workflow.isPlainlyCompleted = event.isPlainlyCompleted
      workflow.plainSeconds = event.durationSeconds
      workflow.seconds =
        event.durationSeconds ??
        (workflow.startMicros === undefined
          ? event.spanSeconds
          : secondsBetween(workflow.startMicros, workflow.endMicros))
    }
  }
  return [...workflows.values()]
}

export interface UserTotals {
  author: string
  workflows: bigint
  runtimeHours: Num
  averageHours: Num
  completionPercent: Num
}

export interface UserReport {
  tree: { [key: string]: Tree }
  users: UserTotals[]
  system: { workflows: bigint; runtimeHours: Num; completionPercent: Num; attributionPercent: Num }
}

/** GET /utilization/user, with its keys in the order of the original's. */
export function toUserReport(facts: Facts, window: Window, generatedAt: string): UserReport {
  const workflows = collect(facts, window)
  const byAuthor = new Map<string, Workflow[]>()
  for (const workflow of workflows) {
    const author = workflow.author ?? 'Unknown Author'
    const list = byAuthor.get(author)
    if (list) list.push(workflow)
    else byAuthor.set(author, [workflow])
  }
  const users: UserTotals[] = []
  const userTree = new Map<string, Tree>()
  for (const [author, list] of byAuthor) {
    const { totals, tree } = toUser(author, list)
    users.push(totals)
    userTree.set(author, tree)
  }
  const count = workflows.length
  const known = workflows.filter(({ hasFlatAuthor }) => hasFlatAuthor).length
  const timed = workflows.flatMap(({ plainSeconds }) => plainSeconds ?? [])
  const completed = workflows.filter(({ isPlainlyCompleted }) => isPlainlyCompleted).length
  const runtime = round(Number(sum(timed)) / 3600, 2)
  const average = timed.length > 0 ? round(Number(sum(timed)) / timed.length / 3600, 3) : 0n
  const completion = count > 0 ? round((completed / count) * 100, 2) : 0n
  const attribution = count > 0 ? round((known / count) * 100, 2) : 0n
  return {
    tree: {
      report_metadata: {
        generated_at: generatedAt,
        analysis_start: toIsoText(window.startMicros),
        analysis_end: toIsoText(window.endMicros),
        total_workflows: BigInt(count),
        total_users: BigInt(users.length),
        workflows_with_authors: BigInt(known),
        workflows_without_authors: BigInt(count - known),
      },
      system_summary: {
        total_workflows: BigInt(count),
        total_runtime_hours: runtime,
        average_workflow_duration_hours: average,
        completion_rate_percent: completion,
        workflows_with_known_authors: BigInt(known),
        author_attribution_rate_percent: attribution,
      },
      user_utilization: userTree,
    },
    users,
    system: {
      workflows: BigInt(count),
      runtimeHours: runtime,
      completionPercent: completion,
      attributionPercent: attribution,
    },
  }
}

function toUser(author: string, list: Workflow[]): { totals: UserTotals; tree: Tree } {
  const hours = list.flatMap(({ seconds }) => (seconds === undefined ? [] : seconds / 3600))
  const statusCount = (status: string) => list.filter((one) => one.status === status).length
  let runtime: Num = 0n
  for (const one of hours) runtime = plus(runtime, one)
  const totals: UserTotals = {
    author,
    workflows: BigInt(list.length),
    runtimeHours: round(runtime, 2),
    averageHours: hours.length > 0 ? round(Number(sum(hours)) / hours.length, 3) : 0n,
    completionPercent: round((statusCount('completed') / list.length) * 100, 2),
  }
  const tree: Tree = {
    author,
    total_workflows: totals.workflows,
    completed_workflows: BigInt(statusCount('completed')),
    failed_workflows: BigInt(statusCount('failed')),
    cancelled_workflows: BigInt(statusCount('cancelled')),
    total_runtime_hours: totals.runtimeHours,
    average_workflow_duration_hours: totals.averageHours,
    shortest_workflow_hours: hours.length > 0 ? round(least(hours), 3) : null,
    longest_workflow_hours: hours.length > 0 ? round(greatest(hours), 3) : null,
    completion_rate_percent: totals.completionPercent,
    workflows: list.map((one) => ({
      workflow_id: one.id,
      workflow_name: one.name,
      start_time: one.startMicros === undefined ? null : toIsoText(one.startMicros),
      end_time: one.endMicros === undefined ? null : toIsoText(one.endMicros),
      duration_hours: one.seconds === undefined ? null : one.seconds / 3600,
      status: one.status || 'unknown',
    })),
  }
  return { totals, tree }
}

// Math.min takes its numbers from the stack, which a long list would overflow.
const least = (values: number[]) => values.reduce((a, b) => (b < a ? b : a))
const greatest = (values: number[]) => values.reduce((a, b) => (b > a ? b : a))

/** The part of a periods report that tells of users: the ten with the longest runtime. */
export function toUserSummary({ users, system }: UserReport): Tree {
  const top = [...users].sort((a, b) => Number(b.runtimeHours) - Number(a.runtimeHours)).slice(0, 10)
  return {
    total_users: BigInt(users.length),
    author_attribution_rate_percent: system.attributionPercent,
    top_users: top.map((user) => ({
      author: user.author,
      total_workflows: user.workflows,
      total_runtime_hours: user.runtimeHours,
      completion_rate_percent: user.completionPercent,
      average_workflow_duration_hours: user.averageHours,
    })),
    system_totals: {
      total_workflows: system.workflows,
      total_runtime_hours: system.runtimeHours,
      completion_rate_percent: system.completionPercent,
    },
  }
}
