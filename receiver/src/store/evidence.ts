import { currentType, type Value } from '@madsci-events/sdk/event'
import { componentName, innerTypes, subjects, wrappingTypes } from '../subject.ts'
import { valueAt } from './expression.ts'
import { keysOf, type PathKeys } from './path.ts'
import { type FacetName, facetNames, subjectFacets } from './summary.ts'

/** What a document says of one facet: the values at its paths, and what follows from them and their neighbours. */
export interface Evidence {
  /** In the order of `evidencePaths`. */
  values: readonly unknown[]
  /** Under which it counts; undefined: it says nothing of the facet. */
  key: string | undefined
  /** What the thing of an id is called, with the rank of Summary.learn. */
  named: { id: string; name: string; rank: number } | undefined
}

/** The paths that decide about a facet, which no two facets share. */
export const evidencePaths: { readonly [facet in FacetName]: readonly string[] } = {
  level: ['log_level'],
  type: ['event_type', 'event_data.event_type', 'event_data.name'],
  service: ['otel.resource.service.name', componentName],
  node: pathsOf('node'),
  workcell: pathsOf('workcell'),
  workflow: pathsOf('workflow'),
  experiment: pathsOf('experiment'),
  user: pathsOf('user'),
}

function pathsOf(kind: (typeof subjectFacets)[number]): string[] {
  const { id, otherIds, names } = subjects[kind]
  return [id, ...otherIds, ...names]
}

/** Longer ones are no names. */
export const maxNameCharacters = 300
const keys = (path: string): PathKeys => keysOf(path.split('.'))
const keysOfFacet = facetNames.map((facet) => evidencePaths[facet].map(keys))
const timeKeys = keys('event_timestamp')
const [wrapping, inner] = [new Set(wrappingTypes), new Set(innerTypes)]
const subjectReaders = subjectFacets.map((kind) => {
  const { otherIds, namedBy } = subjects[kind]
  return { kind, at: facetNames.indexOf(kind), ids: 1 + otherIds.length, namedBy: new Set<string>(namedBy) }
})
const at = {
  level: facetNames.indexOf('level'),
  type: facetNames.indexOf('type'),
  service: facetNames.indexOf('service'),
}

/** A key of a facet of things: by their id, else by their name. */
export const toIdKey = (id: string) => `i${id}`
export const toNameKey = (name: string) => `n${name}`

/** Of each facet, in the order of `facetNames`. The document is the JSON that REST shows, or what MongoDB holds. */
export function readEvidence(document: Value): Evidence[] {
  const all = keysOfFacet.map(
    (paths): Evidence => ({
      values: paths.map((path) => valueAt(document, path)),
      key: undefined,
      named: undefined,
    }),
  )
  const [level, ownType, service] = [all[at.level]!, all[at.type]!, all[at.service]!]
  level.key = String(toLevel(level.values[0]))
  const own = textOf(ownType.values[0]) ?? 'unknown'
  const within = wrapping.has(own) ? textOf(ownType.values[1]) : undefined
  const type = within !== undefined && inner.has(within) ? within : own
  ownType.key = currentType(type)
  const component = textOf(service.values[1])
  service.key = textOf(service.values[0]) ?? component
  for (const { kind, at, ids, namedBy } of subjectReaders) {
    const one = all[at]!
    const id = firstText(one.values, 0, ids)
    const name =
      firstText(one.values, ids, one.values.length) ??
      (namedBy.has(type) ? textOf(ownType.values[2]) : undefined)
    if (id !== undefined) {
      one.key = toIdKey(id)
      if (name !== undefined) one.named = { id, name, rank: 0 }
      else if (kind === 'node' && component !== undefined) one.named = { id, name: component, rank: 1 }
    } else if (name !== undefined) one.key = toNameKey(name)
  }
  return all
}

export const timeTextOf = (document: Value): string | undefined => textOf(valueAt(document, timeKeys))

export const toLevel = (value: unknown) => (typeof value === 'number' ? value : 0)

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= maxNameCharacters ? value : undefined

function firstText(values: readonly unknown[], from: number, to: number): string | undefined {
  for (let at = from; at < to; at++) {
    const text = textOf(values[at])
    if (text !== undefined) return text
  }
  return undefined
}
