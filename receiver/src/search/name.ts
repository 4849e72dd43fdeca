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
  idsOf: (named: Named) => Promise<FoundIds>,
): Promise<Value | undefined> {
  const found = new Map<Named, readonly string[]>()
  for (const named of search.names) if (!isId(named.name)) found.set(named, (await idsOf(named)).ids)
  return search.toSelector(({ kind, name }) => {
    for (const [named, ids] of found) if (named.kind === kind && named.name === name) return ids
    return []
  })
}

/** Ids of something, and whether the time was too short to find them all. */
export interface FoundIds {
  ids: readonly string[]
  isLate: boolean
}

/** Names of a line whose ids were not all found within `patienceMs`. */
export async function findLateNames(
  search: Search,
  idsOf: NameFinder,
  patienceMs: number,
): Promise<string[]> {
  const untilMs = performance.now() + patienceMs
  const late: string[] = []
  for (const named of search.names) {
    if (isId(named.name)) continue
    // One after the other, as the search itself: of many the last are not looked for at all.
    const isLate = performance.now() > untilMs || (await idsOf(named, patienceMs)).isLate
    if (isLate) late.push(named.name)
  }
  return late
}

/** Which ids the newest events give something of that name. */
export async function findIds(
  source: Pick<EventSource, 'find'>,
  named: Named,
  options: FindOptions & { timeoutMs?: number } = {},
): Promise<FoundIds> {
  const { timeoutMs = findTimeoutMs, ...rest } = options
  const { kind, name } = named
  const { id, otherIds } = subjects[kind]
  const ids = new Set<string>()
  const find = { selector: namingSelector(kind, name), limit: readEvents, timeoutMs }
  const isLate = await readNamingEvents(source, find, rest, (document) => {
    const found = firstTextAt(document, [id, ...otherIds])
    if (found !== undefined && ids.size < maxIds) ids.add(found)
  })
  return { ids: [...ids], isLate }
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
  await readNamingEvents(source, find, options, (document) => {
    const own = firstTextAt(document, [id])
    const name = firstTextAt(document, all)
    if (own !== undefined && name !== undefined && !names.has(own)) names.set(own, name)
  })
  return names
}

/** Reads the newest events of a selector; true where they take longer than `timeoutMs` and it ends early. */
async function readNamingEvents(
  source: Pick<EventSource, 'find'>,
  { selector, limit, timeoutMs }: { selector: Value; limit: number; timeoutMs: number },
  options: FindOptions,
  take: (document: Value) => void,
): Promise<boolean> {
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
      for (const { json } of events) take(parseJson(json))
    return false
  } catch (error) {
    const isLate =
      error instanceof EventError && (error.code === 'EVT_QUERY_TIMEOUT' || error.code === 'EVT_QUERY_BUSY')
    if (!isLate) throw error
    return true
  }
}

function firstTextAt(document: Value, paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const value = valueAt(document, keysOf(path.split('.')))
    if (typeof value === 'string' && value !== '') return value
  }
  return undefined
}

/** `patienceMs`: how long to look, by default as long as a search waits. */
export type NameFinder = (named: Named, patienceMs?: number) => Promise<FoundIds>

const keptMs = 10_000
// What is not known may be told any moment, and what took long may be quick.
const keptEmptyMs = 500
const maxKept = 1000

interface Kept {
  untilMs: number
  patienceMs: number
  found: Promise<FoundIds>
}

/** By source: what one request waited for, those after it know. */
const keptBySource = new WeakMap<Pick<EventSource, 'find'>, Map<string, Kept>>()

/** The same, remembered for a moment: every page of a list asks again. */
export function createNameFinder(source: Pick<EventSource, 'find'>): (client: string) => NameFinder {
  const kept = keptBySource.get(source) ?? new Map<string, Kept>()
  keptBySource.set(source, kept)
  return (client) =>
    async (named, patienceMs = findTimeoutMs) => {
      const key = `${named.kind}:${named.name}`
      const known = kept.get(key)
      if (known && known.untilMs > performance.now()) {
        const found = await known.found
        if (!found.isLate || known.patienceMs >= patienceMs) return found
      }
      // Without the signal of one request: others share the answer.
      const found = findIds(source, named, { client, timeoutMs: patienceMs })
      const own: Kept = { untilMs: performance.now() + keptMs + patienceMs, patienceMs, found }
      kept.delete(key)
      kept.set(key, own)
      if (kept.size > maxKept) kept.delete(kept.keys().next().value!)
      const forget = () => {
        if (kept.get(key) === own) kept.delete(key)
      }
      found.then(({ ids, isLate }) => {
        own.untilMs = performance.now() + (isLate || ids.length === 0 ? keptEmptyMs : keptMs)
      }, forget)
      return found
    }
}
