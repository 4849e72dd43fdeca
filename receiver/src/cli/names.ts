import { isObject, parseJson, toJson, type Value } from '@madsci-events/sdk/event'
import { namedSelector, type SubjectKind, subjects } from '../subject.ts'
import type { EventFilter } from './event-filter.ts'
import { dataOf, type EventDocument, nodeOf } from './event-line.ts'
import { ask } from './remote.ts'

/** What ids stand for, as events say it. */

const namingEvents = 200
// Names are a courtesy: a receiver that is slow to tell them is not waited for.
const namesTimeoutMs = 3000
// The selector of one request, as part of its URL.
const idsInRequest = 150

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
