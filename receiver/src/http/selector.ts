import { invalid, type Value } from '@madsci-events/sdk/event'
import { eventNameCondition, serviceCondition, textCondition } from '../search/condition.ts'
import { parseLiteral } from '../search/literal.ts'
import { createNameFinder, resolveSearch } from '../search/name.ts'
import { parseSearch } from '../search/search.ts'
import type { EventSource, FindQuery } from '../store/event-store.ts'
import { type ParseSelectorOptions, parseSelector } from '../store/selector.ts'
import type { Parameters } from './parameter.ts'

/** What the parameters `selector`, `q`, `service`, `event_name` and `search` ask for together; undefined: everything. */
export type ReadSelector = (parameters: Parameters, client: string) => Promise<Value | undefined>

export function createSelectorReader(
  source: Pick<EventSource, 'find'>,
  selectorOptions: ParseSelectorOptions,
): ReadSelector {
  const finderOf = createNameFinder(source)
  return async (parameters, client) => {
    const given = parameters.text('selector')
    const of = (name: string, toCondition: (text: string) => Value) => {
      const text = parameters.text(name)
      return text === undefined || text === '' ? undefined : toCondition(text)
    }
    const line = parameters.text('q')
    const conditions = [
      given === undefined ? undefined : parseLiteral(given),
      line === undefined ? undefined : await resolveSearch(readLine(line, selectorOptions), finderOf(client)),
      of('service', serviceCondition),
      of('event_name', eventNameCondition),
      of('search', textCondition),
    ].filter((one) => one !== undefined)
    return conditions.length > 1 ? { $and: conditions } : conditions[0]
  }
}

/** Throws EVT_INVALID, which names the column. */
function readLine(line: string, selector: ParseSelectorOptions) {
  const search = parseSearch(line, { now: new Date(), selector })
  if (!('problem' in search)) return search
  const { column, length, message } = search.problem
  const msg = `column ${column}: ${message}`
  throw invalid([{ type: 'search', loc: ['query', 'q'], msg, input: line, ctx: { column, length } }])
}

/** The part of a query that the filters of GET /events say. */
export type Filter = Pick<FindQuery, 'selector' | 'minLevel' | 'startTime' | 'endTime' | 'archived'>

/** Reads `level`, `start_time`, `end_time`, `include_archived`, and what a selector reader reads. */
export function createFilterReader(
  source: Pick<EventSource, 'find'>,
  selectorOptions: ParseSelectorOptions,
): (parameters: Parameters, client: string) => Promise<Filter> {
  const readSelector = createSelectorReader(source, selectorOptions)
  const { fromNaive } = selectorOptions
  const bound = (time: string | undefined) =>
    time !== undefined && fromNaive && !time.endsWith('Z') ? fromNaive(time) : time
  return async (parameters, client) => {
    const level = parameters.level('level', 0)
    const startTime = bound(parameters.time('start_time'))
    const endTime = bound(parameters.time('end_time'))
    const archived = parameters.boolean('include_archived', false)
    parameters.check()
    const selector = await readSelector(parameters, client)
    return {
      ...(selector !== undefined && { selector: parseSelector(selector, selectorOptions) }),
      minLevel: level,
      ...(startTime !== undefined && { startTime }),
      ...(endTime !== undefined && { endTime }),
      archived: archived ? 'include' : 'exclude',
    }
  }
}
