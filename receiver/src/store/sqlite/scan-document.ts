import { fromExactJson, isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import { createByteTable } from '../byte-table.ts'
import type { ScannedEvent } from '../event-scan.ts'
import { microsAt, toMicros } from '../instant.ts'
import { createMembers } from './members.ts'

const idMark = '{"_id":'
const idEnd = ',"event_type":"'
const typeMark = '"event_type":"'
const timeMark = '"event_timestamp":"'
const sourceMark = '"source":'
const dataMark = '"event_data":'
const traceMark = ',"trace_id":'
const quote = 34
const comma = 44
const colon = 58
const openBrace = 123
const closeBrace = 125
const ulidTypeAt = idMark.length + 28 + 1 + typeMark.length
const usualTimeAt = `,"log_level":20,"alert":false,${timeMark}`.length
/** Stands before the exact JSON of a document, which is read whole. */
export const exactMark = '!'

type Ids = { readonly [name: string]: unknown }
const noIds: Ids = {}

interface Type {
  /** Undefined when it is none that stands for itself. */
  name: string | undefined
  /** Of the quote behind it, too. */
  length: number
}

interface Source {
  /** Undefined when it is none. */
  ids: Ids | undefined
  length: number
}

/**
 * Reads what it needs from the bytes of a document, whose members stand in the order of sdk event/document.ts. Marks with bare
 * quotes cannot stand inside a JSON string, and all that comes before event_data is flat, so the first one is the member. What
 * is not as expected is parsed whole.
 */
export function createSqliteEvent(): ScannedEvent & {
  /** The document is [from, to) of the text. */
  place(text: Buffer, from: number, to: number, types: ReadonlySet<string>): void
} {
  let text: Buffer = Buffer.alloc(0)
  let begin = 0
  let end = 0
  let sourceEnd = 0
  let whole: { [key: string]: Value } | undefined
  let isWanted = false
  let ids = noIds
  let parsed: unknown
  let isParsed = false
  const members = createMembers()
  let hasMembers: boolean | undefined
  const types = createByteTable({ lastByte: quote, tellAt: [5, 7, 9, 12], make: toType })
  const sources = createByteTable({ lastByte: closeBrace, tellAt: [34, 35, 36, 37], make: toSource })

  const event = {
    type: '',
    micros: Number.NaN,
    place(given: Buffer, from: number, to: number, wanted: ReadonlySet<string>) {
      text = given
      begin = from
      end = to
      whole = undefined
      isParsed = false
      hasMembers = undefined
      if (text[from] === exactMark.charCodeAt(0)) placeWhole(fromExactJson(text.utf8Slice(from + 1, to)))
      else if (!placeText()) placeWhole(parseJson(text.utf8Slice(from, to)))
      isWanted = wanted.has(event.type)
    },
    get id(): string {
      if (whole) return String(whole._id)
      const from = begin + idMark.length
      return JSON.parse(text.utf8Slice(from, text.indexOf(idEnd, from))) as string
    },
    get sourceKey(): object {
      return ids
    },
    source(name: string): string | undefined {
      const id = ids[name]
      return typeof id === 'string' && id !== '' ? id : undefined
    },
    data(): unknown {
      if (!isWanted) return undefined
      if (!isParsed) parsed = whole ? whole.event_data : readData()
      isParsed = true
      return parsed
    },
    field(name: string): unknown {
      if (!isWanted) return undefined
      if (!whole && !isParsed) {
        hasMembers ??= members.open(text, dataAt())
        if (hasMembers) return members.get(name)
      }
      const data = event.data()
      return isObject(data as Value) ? (data as { [key: string]: unknown })[name] : undefined
    },
  }

  /** False when it is not as expected. */
  function placeText(): boolean {
    // Most ids have 26 characters, and what follows has one length: looked at first, searched for if it is not so. A comma
    // before a quote is told from the end of a text by the colon and the quote that must follow.
    let typeFrom = begin + ulidTypeAt
    const isUsual =
      text[typeFrom - typeMark.length - 1] === comma &&
      text[typeFrom - typeMark.length] === quote &&
      text[typeFrom - 2] === colon &&
      text[typeFrom - 1] === quote
    if (!isUsual) typeFrom = text.indexOf(typeMark, begin) + typeMark.length
    const type = types.get(text, typeFrom)
    if (type.name === undefined) return false
    event.type = type.name
    let timeFrom = typeFrom + type.length + usualTimeAt
    if (text[timeFrom - 1] !== quote || text[timeFrom - 2] !== colon)
      timeFrom = text.indexOf(timeMark, typeFrom) + timeMark.length
    let timeTo = timeFrom
    while (timeTo < end && text[timeTo] !== quote) timeTo++
    event.micros = microsAt(text, timeFrom, timeTo)
    const sourceFrom = timeTo + 2 + sourceMark.length
    if (text[sourceFrom - 1] !== colon || text[sourceFrom] !== openBrace) return false
    const source = sources.get(text, sourceFrom)
    if (source.ids === undefined) return false
    ids = source.ids
    sourceEnd = sourceFrom + source.length
    return true
  }

  function placeWhole(document: Value): void {
    whole = isObject(document) ? document : {}
    event.type = String(whole.event_type)
    event.micros = toMicros(String(whole.event_timestamp))
    ids = isObject(whole.source) ? whole.source : noIds
  }

  function dataAt(): number {
    const usual = sourceEnd + 1
    const isUsual = text[usual] === quote && text[usual + dataMark.length - 1] === colon
    return (isUsual ? usual : text.indexOf(dataMark, sourceEnd)) + dataMark.length
  }

  function readData(): unknown {
    // Behind event_data come the ids of the trace, and no object when there is nothing of OTel.
    const from = dataAt()
    const hasOtel = text[end - 2] === closeBrace
    const to = hasOtel ? -1 : text.lastIndexOf(traceMark, end)
    if (to > from) return parseJson(text.utf8Slice(from, to))
    return (parseJson(text.utf8Slice(begin, end)) as { [key: string]: Value }).event_data
  }

  return event
}

function toType(text: Buffer, from: number, to: number): Type {
  const name = text.utf8Slice(from, to - 1)
  return { name: name.includes('\\') ? undefined : name, length: to - from }
}

function toSource(text: Buffer, from: number, to: number): Source {
  try {
    return { ids: JSON.parse(text.utf8Slice(from, to)) as Ids, length: to - from }
  } catch {
    return { ids: undefined, length: to - from }
  }
}
