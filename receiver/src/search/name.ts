import { EventError, parseJson, type Value } from '@madsci-events/sdk/event'
import type { EventSource, FindOptions } from '../store/event-store.ts'
import { valueAt } from '../store/expression.ts'
import { keysOf } from '../store/path.ts'
import { parseSelector } from '../store/selector.ts'
import { componentName, namedSelector, namingSelector, type SubjectKind, subjects } from '../subject.ts'
import type { Named, Search } from './search.ts'

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
  const { id, otherIds } = subjects[kind]
  const ids = new Set<string>()
  const find = { selector: namingSelector(kind, name), limit: readEvents, timeoutMs }
  for await (const document of findNaming(source, find, rest)) {
    const found = firstTextAt(document, [id, ...otherIds])
    if (found !== undefined && ids.size < maxIds) ids.add(found)
  }
  return [...ids]
}

const readNaming = 200

/** What things of those ids are called, as far as the newest events tell it soon. */
export async function findNames(
  source: Pick<EventSource, 'find'>,
  { kind, ids }: { kind: SubjectKind; ids: readonly string[] },
  options: FindOptions = {},
): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  const { id, names: paths, namedBy } = subjects[kind]
  const all = [
    ...paths,
    ...(namedBy.length > 0 ? ['event_data.name'] : []),
    ...(kind === 'node' ? [componentName] : []),
  ]
  const find = { selector: namedSelector(kind, ids), limit: readNaming, timeoutMs: findTimeoutMs }
  for await (const document of findNaming(source, find, options)) {
    const own = firstTextAt(document, [id])
    const name = firstTextAt(document, all)
    if (own !== undefined && name !== undefined && !names.has(own)) names.set(own, name)
  }
  return names
}

/** Newest events of a selector; ends early where they take long. */
async function* findNaming(
  source: Pick<EventSource, 'find'>,
  { selector, limit, timeoutMs }: { selector: Value; limit: number; timeoutMs: number },
  options: FindOptions,
): AsyncGenerator<Value> {
  const query = {
    selector: parseSelector(selector),
    archived: 'include',
    order: 'newest',
    limit,
    offset: 0,
    timeoutMs,
  } as const
  try {
    for await (const events of source.find(query, options))
      for (const { json } of events) yield parseJson(json)
  } catch (error) {
    const isLate =
      error instanceof EventError && (error.code === 'EVT_QUERY_TIMEOUT' || error.code === 'EVT_QUERY_BUSY')
    if (!isLate) throw error
  }
}

function firstTextAt(document: Value, paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const value = valueAt(document, keysOf(path.split('.')))
    if (typeof value === 'string' && value !== '') return value
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
