import { isObject, microsToTimestamp, parseJson, parseTimestamp, type Value } from '@madsci-events/sdk/event'
import type { Engine } from '../engine.ts'
import type { ReportedSession } from './compare.ts'
import type { Window } from './interval.ts'

/** The sessions of a window as the original's report has them. */
export async function askSessions(original: Engine, { start, end }: Window): Promise<ReportedSession[]> {
  const parameters = { start_time: microsToTimestamp(start), end_time: microsToTimestamp(end) }
  const { pieces } = await original.answer({ report: 'sessions', parameters })
  let text = ''
  for await (const piece of pieces) text += piece
  const report = parseJson(text)
  const details = isObject(report) ? report.session_details : undefined
  if (!Array.isArray(details)) throw new Error('BUG: the report of the sessions has no sessions')
  return details.filter(isObject).map((session) => ({
    start: toMicros(session.start_time),
    end: toMicros(session.end_time),
    activeSeconds: secondsAt(session, 'timing', 'active_time'),
    nodes: new Map(
      Object.entries(isObject(session.node_utilizations) ? session.node_utilizations : {})
        .filter((entry): entry is [string, { [key: string]: Value }] => isObject(entry[1]))
        .map(([id, node]) => [
          id,
          {
            busySeconds: secondsAt(node, 'timing', 'busy_time'),
            idleSeconds: secondsAt(node, 'timing', 'idle_time'),
          },
        ]),
    ),
  }))
}

function toMicros(text: Value | undefined): number {
  const parsed = parseTimestamp(text)
  if ('reason' in parsed) throw new Error('BUG: a session without a time')
  return Date.parse(`${parsed.text.slice(0, 19)}Z`) * 1000 + Number(parsed.text.slice(20, 26))
}

function secondsAt(tree: { [key: string]: Value }, ...path: string[]): number {
  let value: Value | undefined = tree
  for (const key of [...path, 'seconds']) value = isObject(value) ? value[key] : undefined
  return typeof value === 'number' ? value : 0
}
