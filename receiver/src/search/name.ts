import { EventError, isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import type { EventSource, FindOptions } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import type { Named, Search } from './search.ts'
import { namingSelector, subjects } from './subject.ts'

// A name that so many events do not tell another id for has no more.
const readEvents = 50
const maxIds = 20
// Names are a courtesy beside the names that events themselves carry: a search does not wait for them for long.
const findTimeoutMs = 500
const isId = (name: string) => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(name)

/** The selector of a line, with the ids of what it calls by name, as far as the newest events tell them. */
export async function resolveSearch(
  search: Search,
  idsOf: (named: Named) => Promise<readonly string[]>,
): Promise<Value | undefined> {
  const found = new Map<Named, readonly string[]>()
  for (const named of search.names) if (!isId(named.name)) found.set(named, await idsOf(named))
  return search.toSelector(({ kind, name }) => {
    for (const [named, ids] of found) if (named.kind === kind && named.name === name) return ids
    return []
  })
}

/** Which ids the newest events give something of that name. */
export async function findIds(
  source: Pick<EventSource, 'find'>,
  named: Named,
  options: FindOptions & { timeoutMs?: number } = {},
): Promise<string[]> {
  const { timeoutMs = findTimeoutMs, ...rest } = options
  const { kind, name } = named
  const query = {
    selector: parseSelector(namingSelector(kind, name)),
    archived: 'include',
    order: 'newest',
    limit: readEvents,
    offset: 0,
    timeoutMs,
  } as const
  const ids = new Set<string>()
  try {
    for await (const events of source.find(query, rest))
      for (const { json } of events) {
        const id = idIn(parseJson(json), subjects[kind])
        if (id !== undefined && ids.size < maxIds) ids.add(id)
      }
  } catch (error) {
    const isLate =
      error instanceof EventError && (error.code === 'EVT_QUERY_TIMEOUT' || error.code === 'EVT_QUERY_BUSY')
    if (!isLate) throw error
  }
  return [...ids]
}

function idIn(
  document: Value,
  { id, otherIds }: { id: string; otherIds: readonly string[] },
): string | undefined {
  for (const path of [id, ...otherIds]) {
    let value: Value | undefined = document
    for (const name of path.split('.')) value = isObject(value) ? value[name] : undefined
    if (typeof value === 'string') return value
  }
  return undefined
}

export type NameFinder = (named: Named) => Promise<readonly string[]>

const keptMs = 10_000
// What is not known may be told any moment.
const keptEmptyMs = 500
const maxKept = 1000

/** The same, remembered for a moment: every page of a list asks again. */
export function createNameFinder(source: Pick<EventSource, 'find'>): (client: string) => NameFinder {
  const kept = new Map<string, { untilMs: number; ids: Promise<readonly string[]> }>()
  return (client) => (named) => {
    const key = `${named.kind}:${named.name}`
    const nowMs = performance.now()
    const known = kept.get(key)
    if (known && known.untilMs > nowMs) return known.ids
    // Without the signal of one request: others share the answer.
    const ids = findIds(source, named, { client })
    const own = { untilMs: nowMs + keptMs, ids }
    kept.delete(key)
    kept.set(key, own)
    if (kept.size > maxKept) kept.delete(kept.keys().next().value!)
    const forget = () => {
      if (kept.get(key) === own) kept.delete(key)
    }
    ids.then((found) => {
      if (found.length === 0) own.untilMs = performance.now() + keptEmptyMs
    }, forget)
    return ids
  }
}
