import { fromExactJson, isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import type { ScannedEvent } from '../event-scan.ts'
import { toMicros } from '../instant.ts'
import { createMembers } from './members.ts'

const idMark = '{"_id":'
const idEnd = ',"event_type":"'
const typeMark = '"event_type":"'
const timeMark = '"event_timestamp":"'
const sourceMark = '"source":{'
const dataMark = '"event_data":'
const traceMark = ',"trace_id":'
const quote = 34
const comma = 44
const colon = 58
const openBrace = 123
const ulidTypeAt = idMark.length + 28 + 1 + typeMark.length
const usualTimeAt = `","log_level":20,"alert":false,${timeMark}`.length
/** Stands before the exact JSON of a document, which is read whole. */
export const exactMark = '!'

type Source = { readonly [name: string]: unknown }
const noSource: Source = {}
// Events of one node have one source: most are found here. Ids of steps and the like pass through.
const maxSources = 5000

/**
 * Reads what it needs from the text of a document, whose members stand in the order of sdk event/document.ts. Marks with bare
 * quotes cannot stand inside a JSON string, and all that comes before event_data is flat, so the first one is the member.
 * What it gives are strings of their own: a slice would keep the whole text alive.
 */
export function createSqliteEvent(): ScannedEvent & {
  /** The document is [from, to) of the text. */
  place(text: string, from: number, to: number, types: ReadonlySet<string>): void
} {
  let text = ''
  let begin = 0
  let end = 0
  let sourceEnd = 0
  let exact: { [key: string]: Value } | undefined
  let isWanted = false
  let source = noSource
  let parsed: unknown
  let isParsed = false
  const members = createMembers()
  let hasMembers: boolean | undefined
  const types = new Map<number, string[]>()
  const sources = new Map<number, { text: string; source: Source }[]>()
  let sourceCount = 0

  const event = {
    type: '',
    micros: Number.NaN,
    place(given: string, from: number, to: number, wanted: ReadonlySet<string>) {
      text = given
      begin = from
      end = to
      exact = undefined
      isParsed = false
      hasMembers = undefined
      if (text.charCodeAt(from) === exactMark.charCodeAt(0)) placeExact()
      else placeText()
      isWanted = wanted.has(event.type)
    },
    get id(): string {
      if (exact) return String(exact._id)
      const from = begin + idMark.length
      return JSON.parse(text.slice(from, text.indexOf(idEnd, from))) as string
    },
    source(name: string): string | undefined {
      const id = source[name]
      return typeof id === 'string' && id !== '' ? id : undefined
    },
    data(): unknown {
      if (!isWanted) return undefined
      if (!isParsed) parsed = exact ? exact.event_data : readData()
      isParsed = true
      return parsed
    },
    field(name: string): unknown {
      if (!isWanted) return undefined
      if (!exact && !isParsed) {
        hasMembers ??= members.find(text, text.indexOf(dataMark, sourceEnd) + dataMark.length)
        if (hasMembers) return members.get(name)
      }
      const data = event.data()
      return isObject(data as Value) ? (data as { [key: string]: unknown })[name] : undefined
    },
  }

  function placeText(): void {
    // Most ids have 26 characters, and what follows has one length: looked at first, searched for if it is not so. A comma
    // before a quote is told from the end of a text by the colon and the quote that must follow.
    let typeFrom = begin + ulidTypeAt
    const isUsual =
      text.charCodeAt(typeFrom - typeMark.length - 1) === comma &&
      text.charCodeAt(typeFrom - typeMark.length) === quote &&
      text.charCodeAt(typeFrom - 2) === colon &&
      text.charCodeAt(typeFrom - 1) === quote
    if (!isUsual) typeFrom = text.indexOf(typeMark, begin) + typeMark.length
    const typeTo = text.indexOf('"', typeFrom)
    event.type = typeOf(typeFrom, typeTo)
    let timeFrom = typeTo + usualTimeAt
    if (text.charCodeAt(timeFrom - 1) !== quote || text.charCodeAt(timeFrom - 2) !== colon)
      timeFrom = text.indexOf(timeMark, typeTo) + timeMark.length
    const timeTo = text.indexOf('"', timeFrom)
    event.micros = toMicros(text, timeFrom, timeTo)
    let sourceFrom = timeTo + 1 + sourceMark.length
    if (text.charCodeAt(sourceFrom) !== openBrace)
      sourceFrom = text.indexOf(sourceMark, timeTo) + sourceMark.length - 1
    sourceEnd = text.indexOf('}', sourceFrom) + 1
    source = sourceOf(sourceFrom, sourceEnd)
  }

  function placeExact(): void {
    const whole = fromExactJson(text.slice(begin + 1, end))
    exact = isObject(whole) ? whole : {}
    event.type = String(exact.event_type)
    event.micros = toMicros(String(exact.event_timestamp))
    source = isObject(exact.source) ? exact.source : noSource
  }

  function readData(): unknown {
    // Behind event_data come the ids of the trace, and no object when there is nothing of OTel.
    const from = text.indexOf(dataMark, sourceEnd) + dataMark.length
    const hasOtel = text.charCodeAt(end - 2) === 125
    const to = hasOtel ? -1 : text.lastIndexOf(traceMark, end)
    if (to > from) return parseJson(text.slice(from, to))
    return (parseJson(text.slice(begin, end)) as { [key: string]: Value }).event_data
  }

  /** The same string for the same text, so that comparing it is comparing pointers. */
  function typeOf(from: number, to: number): string {
    const key = ((to - from) * 128 + text.charCodeAt(to - 1)) * 128 + text.charCodeAt(to - 4)
    const known = types.get(key)
    if (known) for (const type of known) if (text.startsWith(type, from)) return type
    const type = copy(from, to)
    if (!known) types.set(key, [type])
    else if (known.length < 100) known.push(type)
    return type
  }

  /** By a hash over some characters, those where a first id ends among them; then the whole is compared. */
  function sourceOf(from: number, to: number): Source {
    let key = ((to - from) * 128 + text.charCodeAt(from + 36)) * 128 + text.charCodeAt(from + 35)
    for (let at = to - 4; at > from; at -= 9) key = (Math.imul(key, 31) + text.charCodeAt(at)) | 0
    const known = sources.get(key)
    if (known)
      for (const one of known)
        if (one.text.length === to - from && text.startsWith(one.text, from)) return one.source
    if (sourceCount++ >= maxSources) {
      sources.clear()
      sourceCount = 0
    }
    const own = copy(from, to)
    const one = { text: own, source: JSON.parse(own) as Source }
    if (known && known.length < 16) known.push(one)
    else sources.set(key, [one])
    return one.source
  }

  const copy = (from: number, to: number) => Buffer.from(text.slice(from, to)).toString()

  return event
}
