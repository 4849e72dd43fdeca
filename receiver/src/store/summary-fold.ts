import { currentType, type Value } from '@madsci-events/sdk/event'
import { componentName, innerTypes, subjects, wrappingTypes } from '../subject.ts'
import type { StoredEvent } from './event-store.ts'
import { valueAt } from './expression.ts'
import { keysOf, type PathKeys } from './path.ts'
import { Summary, type SummaryOptions, type SummaryPart, subjectFacets } from './summary.ts'

/** Sums events up in the thread that reads them. */
export interface SummaryFold {
  /** A matching event. */
  add(json: string): void
  /** What was added since the last call, as an event of the query: its `json` is a SummaryPart. */
  take(scannedTo: string | null, isLate: boolean): StoredEvent
}

/** Longer ones are no names. */
const maxNameCharacters = 300
const keys = (path: string): PathKeys => keysOf(path.split('.'))

interface Reader {
  kind: (typeof subjectFacets)[number]
  ids: readonly PathKeys[]
  names: readonly PathKeys[]
  namedBy: ReadonlySet<string>
}

const readers: readonly Reader[] = subjectFacets.map((kind) => {
  const { id, otherIds, names, namedBy } = subjects[kind]
  return { kind, ids: [id, ...otherIds].map(keys), names: names.map(keys), namedBy: new Set(namedBy) }
})
const paths = {
  type: keys('event_type'),
  innerType: keys('event_data.event_type'),
  level: keys('log_level'),
  time: keys('event_timestamp'),
  name: keys('event_data.name'),
  service: keys('otel.resource.service.name'),
  component: keys(componentName),
}
const [wrapping, inner] = [new Set(wrappingTypes), new Set(innerTypes)]

/** A key of a facet of things: by their id, else by their name. */
export const toIdKey = (id: string) => `i${id}`
export const toNameKey = (name: string) => `n${name}`

export function createSummaryFold(options: SummaryOptions): SummaryFold {
  let summary = new Summary(options)
  return {
    add(json) {
      addEvent(summary, JSON.parse(json) as Value)
    },
    take(scannedTo, isLate) {
      summary.scannedTo = scannedTo
      summary.isLate = isLate
      const json = JSON.stringify(summary.toPart())
      summary = new Summary(options)
      return { id: '', json }
    },
  }
}

export const toSummaryPart = ({ json }: StoredEvent) => JSON.parse(json) as SummaryPart

/** Adds an event, given as the JSON that REST shows. */
export function addEvent(summary: Summary, document: Value): void {
  summary.total++
  const level = valueAt(document, paths.level)
  const levelNumber = typeof level === 'number' ? level : 0
  const ms = toMs(textAt(document, paths.time))
  if (ms !== undefined) summary.addTime(ms, levelNumber)
  summary.addValue('level', String(levelNumber))
  const own = textAt(document, paths.type) ?? 'unknown'
  const within = wrapping.has(own) ? textAt(document, paths.innerType) : undefined
  const type = within !== undefined && inner.has(within) ? within : own
  summary.addValue('type', currentType(type))
  const component = textAt(document, paths.component)
  const service = textAt(document, paths.service) ?? component
  if (service !== undefined) summary.addValue('service', service)
  for (const reader of readers) addSubject(summary, document, reader, { type, component })
}

function addSubject(
  summary: Summary,
  document: Value,
  { kind, ids, names, namedBy }: Reader,
  { type, component }: { type: string; component: string | undefined },
): void {
  const id = firstText(document, ids)
  const name = firstText(document, names) ?? (namedBy.has(type) ? textAt(document, paths.name) : undefined)
  if (id !== undefined) {
    summary.addValue(kind, toIdKey(id))
    if (name !== undefined) summary.learn(kind, id, name, 0)
    else if (kind === 'node' && component !== undefined) summary.learn(kind, id, component, 1)
  } else if (name !== undefined) summary.addValue(kind, toNameKey(name))
}

function textAt(document: Value, path: PathKeys): string | undefined {
  const value = valueAt(document, path)
  return typeof value === 'string' && value !== '' && value.length <= maxNameCharacters ? value : undefined
}

function firstText(document: Value, all: readonly PathKeys[]): string | undefined {
  for (const path of all) {
    const text = textAt(document, path)
    if (text !== undefined) return text
  }
  return undefined
}

/** Without a zone it counts as UTC. */
export function toMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`)
  return Number.isNaN(ms) ? undefined : ms
}
