import { findNames } from '../search/name.ts'
import type { EventStore } from '../store/event-store.ts'
import { isSubjectKind, type SubjectKind, subjects } from '../subject.ts'

/** What the events of an alert have in common, by path. */
export type Group = { [path: string]: string | null }

// The page asks every few seconds; names change seldom.
const keptMs = 60_000
const againMs = 5000
const asked = { client: 'pages', isReserved: true }

const kindOfPath = new Map<string, SubjectKind>(
  Object.entries(subjects).flatMap(([kind, { id, otherIds }]) =>
    isSubjectKind(kind) ? [id, ...otherIds].map((path): [string, SubjectKind] => [path, kind]) : [],
  ),
)

/** What the ids in groups are called, in the order of the groups, by path; null where no event tells it. */
export function createGroupNames(
  store: Pick<EventStore, 'find'>,
): (groups: readonly Group[]) => Promise<Group[]> {
  let known = new Map<string, { name: string | null; untilMs: number }>()
  return async (groups) => {
    const wanted = new Map<SubjectKind, Set<string>>()
    for (const [path, value] of groups.flatMap(Object.entries<string | null>)) {
      const kind = kindOfPath.get(path)
      if (kind === undefined || value === null) continue
      const ids = wanted.get(kind) ?? new Set()
      wanted.set(kind, ids.add(value))
    }
    const nowMs = performance.now()
    const next: typeof known = new Map()
    for (const [kind, ids] of wanted) {
      const missing: string[] = []
      for (const id of ids) {
        const one = known.get(`${kind} ${id}`)
        if (one && one.untilMs > nowMs) next.set(`${kind} ${id}`, one)
        else missing.push(id)
      }
      if (missing.length === 0) continue
      // Alerts are shown without names too.
      const found = await findNames(store, { kind, ids: missing }, asked).catch(() => undefined)
      for (const id of missing)
        next.set(
          `${kind} ${id}`,
          found?.has(id)
            ? { name: found.get(id)!, untilMs: nowMs + keptMs }
            : { name: null, untilMs: nowMs + againMs },
        )
    }
    known = next
    return groups.map((group) => {
      const names: Group = {}
      for (const [path, value] of Object.entries(group)) {
        const kind = kindOfPath.get(path)
        if (kind !== undefined && value !== null) names[path] = next.get(`${kind} ${value}`)?.name ?? null
      }
      return names
    })
  }
}
