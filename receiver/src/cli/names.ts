import { EventError, isObject, isUlid, parseJson, toJson, type Value } from '@madsci-events/sdk/event'
import type { Named } from '../search/search.ts'
import { namedSelector, namingSelector, type SubjectKind, subjectCondition, subjects } from '../subject.ts'
import type { EventFilter } from './event-filter.ts'
import { dataOf, type EventDocument, nodeOf } from './event-line.ts'
import { ask } from './remote.ts'

/** What ids stand for, as events say it. */

const namingEvents = 200
// Names are a courtesy: a receiver that is slow to tell them is not waited for.
const namesTimeoutMs = 3000
// The selector of one request, as part of its URL.
const idsInRequest = 150

const listedNames = 12
const countedNames = 50

/** A sentence for each of these that no event is about: `no node is called 'robotarm'; there are: arm, reader`. */
export async function findUnknown(base: URL, named: readonly Named[]): Promise<string[]> {
  const sentences: string[] = []
  for (const one of named.slice(0, askedNames)) {
    const about = await findSoon(base, subjectCondition(one.kind, [one.name], []), 1)
    if (about?.length === 0) sentences.push(await toUnknown(base, one))
  }
  return sentences
}

// Each is a question to the receiver.
const askedNames = 10

async function toUnknown(base: URL, { kind, name }: Named): Promise<string> {
  const known = await listNames(base, kind)
  const shown = known.slice(0, listedNames).join(', ')
  const more = known.length > listedNames ? ', …' : ''
  return `no ${kind} is called '${name}'${known.length > 0 ? `; there are: ${shown}${more}` : ''}`
}

/** What things of that kind are called, the most frequent first; empty when it cannot be had soon. */
async function listNames(base: URL, kind: SubjectKind): Promise<string[]> {
  try {
    const url = new URL(`events/summary?buckets=1&values=${countedNames}&include_archived=true`, base)
    const answer = await ask(url, { signal: AbortSignal.timeout(namesTimeoutMs) })
    const { facets } = (await answer.json()) as {
      facets: { [kind: string]: { values: { id: string | null; name: string | null }[] } }
    }
    return [...new Set((facets[kind]?.values ?? []).flatMap(({ id, name }) => name ?? id ?? []))]
  } catch {
    return []
  }
}

/** The same of ids, of which none may be a name. */
export async function findUnknownIds(base: URL, named: readonly Named[]): Promise<string[]> {
  const sentences: string[] = []
  for (const { kind, name } of named.slice(0, askedNames)) {
    const { id, otherIds } = subjects[kind]
    const paths = [id, ...otherIds].map((path) => ({ [path]: name }))
    if ((await findSoon(base, { $or: paths }, 1))?.length !== 0) continue
    const [unknown] = await findUnknown(base, [{ kind, name }])
    sentences.push(unknown ?? `'${name}' is a name and no id: --${kind} takes names`)
  }
  return sentences
}

/** The id of what is called so; an id is its own. Throws EVT_REFUSED with the choices when there is none, or several. */
export async function findId(base: URL, { kind, name }: Named): Promise<string> {
  if (isUlid(name)) return name
  const events = await find(base, namingSelector(kind, name), namingEvents)
  const ids = new Set(
    events.flatMap(({ source }) => {
      const id = isObject(source) ? source[`${kind}_id`] : undefined
      return typeof id === 'string' ? id : []
    }),
  )
  const [id] = ids
  if (ids.size > 1)
    throw new EventError(
      'EVT_REFUSED',
      `there are ${ids.size} of the name '${name}': give the id of one of them, like --${kind}=${id}`,
      { detail: [...ids].slice(0, listedNames).map((one) => `  ${one}`) },
    )
  if (id !== undefined) return id
  // What has no id of its own is known by its name, and an id may be any text.
  const [unknown] = await findUnknown(base, [{ kind, name }])
  if (unknown === undefined) return name
  throw new EventError('EVT_REFUSED', unknown)
}

export function toUrl(path: string, base: URL, { parameters, selector }: EventFilter): URL {
  const url = new URL(path, base)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  if (selector !== undefined) url.searchParams.set('selector', toJson(selector))
  return url
}

async function find(base: URL, selector: Value, number: number): Promise<EventDocument[]> {
  const parameters = { number: String(number), include_archived: 'true' }
  const answer = await ask(toUrl('events', base, { parameters, selector }))
  return Object.values(parseJson(await answer.text()) as { [id: string]: EventDocument })
}

/** Resolves with undefined when it takes too long or fails. */
function findSoon(base: URL, selector: Value, number: number): Promise<EventDocument[] | undefined> {
  const late = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), namesTimeoutMs).unref()
  })
  return Promise.race([find(base, selector, number).catch(() => undefined), late])
}

/** Stored events of these ids, by id; those that cannot be had soon are missing. */
export async function findEvents(base: URL, ids: readonly string[]): Promise<Map<string, EventDocument>> {
  const found = new Map<string, EventDocument>()
  const all = [...new Set(ids)]
  for (let at = 0; at < all.length; at += idsInRequest) {
    const some = all.slice(at, at + idsInRequest)
    const events = await findSoon(base, { _id: { $in: some } }, some.length)
    if (!events) break
    for (const event of events) found.set(String(event._id), event)
  }
  return found
}

/** What nodes are called: events say it, and the receiver is asked once for each that none of those at hand names. */
export function createNames(base: URL) {
  const known = new Map<string, string>()
  const asked = new Set<string>()
  const take = (events: readonly EventDocument[]) => {
    for (const event of events) {
      const { id, name } = nodeOf(event)
      if (id !== undefined && name !== undefined) known.set(id, name)
    }
  }
  return {
    known,
    async learn(events: readonly EventDocument[]): Promise<void> {
      take(events)
      const ids = events.flatMap((event) => nodeOf(event).id ?? [])
      const unknown = [...new Set(ids)].filter((id) => !known.has(id) && !asked.has(id))
      if (unknown.length === 0) return
      for (const id of unknown) asked.add(id)
      take((await findSoon(base, namedSelector('node', unknown), namingEvents)) ?? [])
    },
  }
}

const kinds = Object.keys(subjects) as SubjectKind[]

/** What things of any kind are called, of those that these events are about; `wanted` are their ids. */
export async function findNames(
  base: URL,
  events: Iterable<EventDocument>,
  wanted: ReadonlySet<string>,
): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  const kindOf = new Map<string, SubjectKind>()
  const take = (event: EventDocument) => {
    const source = isObject(event.source) ? event.source : {}
    for (const kind of kinds) {
      const id = source[`${kind}_id`]
      if (typeof id !== 'string' || !wanted.has(id)) continue
      kindOf.set(id, kind)
      const name = nameIn(event, kind)
      if (name !== undefined && !names.has(id)) names.set(id, name)
    }
  }
  for (const event of events) take(event)
  for (const kind of kinds) {
    const unknown = [...kindOf].filter(([id, its]) => its === kind && !names.has(id)).map(([id]) => id)
    for (let at = 0; at < unknown.length; at += idsInRequest)
      for (const event of (await findSoon(
        base,
        namedSelector(kind, unknown.slice(at, at + idsInRequest)),
        namingEvents,
      )) ?? [])
        take(event)
  }
  return names
}

/** The name that an event says of what it is about. */
function nameIn(event: EventDocument, kind: SubjectKind): string | undefined {
  if (kind === 'node') return nodeOf(event).name
  const { names, namedBy } = subjects[kind]
  const texts = names.map((path) => {
    let value: Value | undefined = event
    for (const part of path.split('.')) value = isObject(value) ? value[part] : undefined
    return value
  })
  const data = dataOf(event)
  const types = [event.event_type, data.event_type]
  if (types.some((type) => namedBy.includes(String(type)))) texts.push(data.name)
  return texts.find((text) => typeof text === 'string' && text !== '') as string | undefined
}
