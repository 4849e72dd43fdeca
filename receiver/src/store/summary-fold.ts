import type { Value } from '@madsci-events/sdk/event'
import type { StoredEvent } from './event-store.ts'
import { readEvidence, timeTextOf } from './evidence.ts'
import { facetNames, isSubjectFacet, Summary, type SummaryOptions, type SummaryPart } from './summary.ts'

/** Sums events up in the thread that reads them. */
export interface SummaryFold {
  /** A matching event. */
  add(json: string): void
  /** What was added since the last call, as an event of the query: its `json` is a SummaryPart. */
  take(scannedTo: string | null, isLate: boolean): StoredEvent
}

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
  const evidence = readEvidence(document)
  const ms = toMs(timeTextOf(document))
  if (ms !== undefined) summary.addTime(ms, Number(evidence[0]!.key))
  for (const [index, { key, named }] of evidence.entries()) {
    const facet = facetNames[index]!
    if (key !== undefined) summary.addValue(facet, key)
    if (named && isSubjectFacet(facet)) summary.learn(facet, named.id, named.name, named.rank)
  }
}

/** Without a zone it counts as UTC. */
export function toMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`)
  return Number.isNaN(ms) ? undefined : ms
}
