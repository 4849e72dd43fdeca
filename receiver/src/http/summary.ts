import { levelNames, type ParseEventOptions } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { toToken } from '../search/line.ts'
import { findNames } from '../search/name.ts'
import type { EventStore, FindOptions } from '../store/event-store.ts'
import { type FacetName, facetNames, Summary, startOf, subjectFacets } from '../store/summary.ts'
import { toMs } from '../store/summary-fold.ts'
import { findOptionsOf } from './find-options.ts'
import { createParameters } from './parameter.ts'
import { createFilterReader } from './selector.ts'
import type { FacetValue, SummaryAnswer } from './summary-answer.ts'
import { summarySchema } from './summary-schema.ts'

export interface SummaryDoorOptions {
  store: EventStore
  queryTimeoutMs: number
  parse: ParseEventOptions
}

export const summaryLimits = { buckets: 1000, values: 1000 }

/** GET /events/summary: what the events of a filter are together. */
export function registerSummary(app: FastifyInstance, options: SummaryDoorOptions): void {
  const { store, queryTimeoutMs, parse } = options
  const readFilter = createFilterReader(store, parse.fromNaive ? { fromNaive: parse.fromNaive } : {})

  app.get('/events/summary', { schema: summarySchema }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const buckets = parameters.integer('buckets', 120, 1, summaryLimits.buckets)
    const values = parameters.integer('values', 10, 0, summaryLimits.values)
    const most = queryTimeoutMs > 0 ? queryTimeoutMs : Number.MAX_SAFE_INTEGER
    const timeoutMs = parameters.integer('timeout_ms', queryTimeoutMs, queryTimeoutMs > 0 ? 1 : 0, most)
    const find = findOptionsOf(request, reply)
    const filter = await readFilter(parameters, find.client)
    const [fromMs, untilMs] = [toMs(filter.startTime), toMs(filter.endTime)]
    const summary = new Summary({
      buckets,
      ...(fromMs !== undefined && { fromMs }),
      ...(untilMs !== undefined && { untilMs }),
    })
    const parts = store.summarize({ ...filter, timeoutMs }, { buckets, ...bounds(fromMs, untilMs) }, find)
    for await (const part of parts) summary.addPart(part)
    return reply.send(await toAnswer(summary, values, { store, find }))
  })
}

const bounds = (fromMs: number | undefined, untilMs: number | undefined) => ({
  ...(fromMs !== undefined && { fromMs }),
  ...(untilMs !== undefined && { untilMs }),
})

interface Naming {
  store: EventStore
  find: FindOptions
}

async function toAnswer(summary: Summary, values: number, naming: Naming): Promise<SummaryAnswer> {
  const { total, scannedTo, isLate, span, widthMs } = summary
  const facets = {} as SummaryAnswer['facets']
  for (const name of facetNames) facets[name] = await toFacet(summary, name, values, naming)
  return {
    total,
    histogram: {
      from: span ? toTime(startOf(span[0], widthMs)) : null,
      until: span ? toTime(startOf(span[1], widthMs) + widthMs) : null,
      bucket_ms: widthMs,
      buckets: summary.histogram.map(([startMs, levels]) => ({
        start_time: toTime(startMs),
        total: [...levels.values()].reduce((sum, count) => sum + count, 0),
        levels: Object.fromEntries(
          [...levels].sort(([a], [b]) => a - b).map(([level, count]) => [toLevelName(level), count]),
        ),
      })),
    },
    facets,
    scanned_to: scannedTo,
    complete_since: isLate ? scannedTo : null,
    is_complete: !isLate,
  }
}

const toLevelName = (level: number) => levelNames[level / 10] ?? String(level)

/** Years beyond four digits are no timestamps of ours. */
const toTime = (ms: number) =>
  new Date(Math.min(Math.max(ms, -62_135_596_800_000), 253_402_300_799_999)).toISOString()

async function toFacet(
  summary: Summary,
  facet: FacetName,
  most: number,
  naming: Naming,
): Promise<SummaryAnswer['facets'][FacetName]> {
  const { counts, other } = summary.facets.get(facet)!
  const sorted = [...counts].sort(([a, one], [b, two]) => two - one || (a < b ? -1 : 1))
  const kind = subjectFacets.find((one) => one === facet)
  const rows =
    kind === undefined
      ? sorted.slice(0, most).map(([key, count]) => toPlainValue(facet, key, count))
      : await toSubjectValues(summary, kind, sorted, { ...naming, most })
  const shown = rows.reduce((sum, { count }) => sum + count, 0)
  const all = sorted.reduce((sum, [, count]) => sum + count, other)
  return { values: rows, distinct: counts.size, other: all - shown }
}

function toPlainValue(facet: FacetName, key: string, count: number): FacetValue {
  const name = facet === 'level' ? toLevelName(Number(key)) : key
  return { id: null, name, count, q: toToken(facet, name) }
}

/**
 * Things by name. What is known by its name alone is the thing of that name when there is one; runs of a workflow or of an
 * experiment share their name, and are told apart.
 */
async function toSubjectValues(
  summary: Summary,
  kind: (typeof subjectFacets)[number],
  sorted: readonly [key: string, count: number][],
  { store, find, most }: Naming & { most: number },
): Promise<FacetValue[]> {
  const known = summary.names.get(kind)
  const names = new Map([...(known ?? [])].map(([id, { name }]) => [id, name]))
  const hasRuns = kind === 'workflow' || kind === 'experiment'
  const missing = sorted
    .slice(0, most)
    .flatMap(([key]) => (key[0] === 'i' && !names.has(key.slice(1)) ? [key.slice(1)] : []))
  if (missing.length > 0 && !summary.hasAllNames)
    for (const [id, name] of await findNames(store, { kind, ids: missing }, find)) names.set(id, name)
  const rows: { id: string | null; name: string | null; count: number }[] = []
  const byName = new Map<string, number>()
  for (const [key] of sorted) {
    const name = key[0] === 'i' ? names.get(key.slice(1)) : key.slice(1)
    if (name !== undefined && key[0] === 'i') byName.set(name, (byName.get(name) ?? 0) + 1)
  }
  for (const [key, count] of sorted) {
    const value = key.slice(1)
    if (key[0] === 'i') rows.push({ id: value, name: names.get(value) ?? null, count })
    else if (hasRuns || byName.get(value) !== 1) rows.push({ id: null, name: value, count })
  }
  if (!hasRuns) {
    const rowOf = new Map(rows.map((row) => [row.name, row]))
    for (const [key, count] of sorted) {
      const name = key.slice(1)
      const one = key[0] === 'n' && byName.get(name) === 1 && rowOf.get(name)
      if (one) one.count += count
    }
  }
  const token = ({ id, name }: { id: string | null; name: string | null }) =>
    toToken(kind, id === null || (name !== null && !hasRuns && byName.get(name) === 1) ? name! : id)
  return rows
    .sort((a, b) => b.count - a.count)
    .slice(0, most)
    .map((row) => ({ ...row, q: token(row) }))
}
