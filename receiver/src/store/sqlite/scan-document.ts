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
const usualTail = `${traceMark}null,"span_id":null,"archived":false,"archived_at":null}`.length
const traceBytes = new DataView(new TextEncoder().encode(traceMark).buffer)
const quote = 34
const comma = 44
const colon = 58
const openBrace = 123
const closeBrace = 125
const ulidLength = 26
const ulidTypeAt = idMark.length + 1 + ulidLength + 1 + 1 + typeMark.length
const usualTimeAt = `,"log_level":20,"alert":false,${timeMark}`.length
const usualTimeLength = '2026-11-23T19:25:51.286773Z'.length
/** Stands before the exact JSON of a document, which is read whole. */
export const exactMark = '!'

type Ids = { readonly [name: string]: unknown }
const noIds: Ids = {}

interface Type {
  /** Undefined when it is none that stands for itself. */
  name: string | undefined
  /** Of the quote behind it, too. */
  length: number
  /** The last who asked whether it is among them. */
  wantedBy: ReadonlySet<string> | undefined
  isWanted: boolean
}

interface Source {
  /** Undefined when it is none. */
  ids: Ids | undefined
  length: number
}

/** A document of a chunk, [from, to) of its text. */
export interface PlacedEvent extends ScannedEvent {
  place(text: Buffer, from: number, to: number, types: ReadonlySet<string>): void
}

export const createSqliteEvent = (): PlacedEvent => new SqliteEvent()

/**
 * Reads what it needs from the bytes of a document, whose members stand in the order of sdk event/document.ts. Marks with bare
 * quotes cannot stand inside a JSON string, and all that comes before event_data is flat, so the first one is the member. What
 * is not as expected is parsed whole.
 */
class SqliteEvent implements PlacedEvent {
  type = ''
  micros = Number.NaN
  /** The members of `source`. */
  sourceKey = noIds
  #text: Buffer = Buffer.alloc(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #begin = 0
  #end = 0
  #sourceEnd = 0
  #whole: { [key: string]: Value } | undefined
  #isWanted = false
  #data: unknown
  #isParsed = false
  #hasMembers: boolean | undefined
  readonly #members = createMembers()
  readonly #types = createByteTable({ lastByte: quote, tellAt: [5, 7, 9, 12], make: toType })
  readonly #sources = createByteTable({ lastByte: closeBrace, tellAt: [34, 35, 36, 37], make: toSource })

  place(text: Buffer, from: number, to: number, types: ReadonlySet<string>): void {
    if (this.#text !== text) {
      this.#text = text
      this.#view = new DataView(text.buffer, text.byteOffset, text.byteLength)
    }
    this.#begin = from
    this.#end = to
    this.#whole = undefined
    this.#isParsed = false
    this.#hasMembers = undefined
    if (text[from] === exactMark.charCodeAt(0)) this.#placeWhole(fromExactJson(this.#slice(from + 1, to)))
    else if (this.#placeText(types)) return
    else this.#placeWhole(parseJson(this.#slice(from, to)))
    this.#isWanted = types.has(this.type)
  }

  get id(): string {
    if (this.#whole) return String(this.#whole._id)
    const from = this.#begin + idMark.length
    const usual = this.#text[from + ulidLength + 1] === quote && this.#text[from + ulidLength + 2] === comma
    const id = usual ? this.#slice(from + 1, from + 1 + ulidLength) : '"'
    // A quote, or the mark of one, that stands inside shows that it is longer.
    if (!/["\\]/.test(id)) return id
    return JSON.parse(this.#slice(from, this.#text.indexOf(idEnd, from))) as string
  }

  source(name: string): string | undefined {
    const id = this.sourceKey[name]
    return typeof id === 'string' && id !== '' ? id : undefined
  }

  data(): unknown {
    if (!this.#isWanted) return undefined
    if (!this.#isParsed) this.#data = this.#whole ? this.#whole.event_data : this.#parseData()
    this.#isParsed = true
    return this.#data
  }

  field(name: string): unknown {
    if (!this.#isWanted) return undefined
    if (!this.#whole && !this.#isParsed) {
      this.#hasMembers ??= this.#members.open(this.#text, this.#view, this.#dataAt())
      if (this.#hasMembers) return this.#members.get(name)
    }
    const data = this.data() as Value
    return isObject(data) ? data[name] : undefined
  }

  /** False when it is not as expected. */
  #placeText(types: ReadonlySet<string>): boolean {
    const text = this.#text
    const view = this.#view
    // Most ids have 26 characters, and what follows has one length: looked at first, searched for if it is not so. A comma
    // before a quote is told from the end of a text by the colon and the quote that must follow.
    let typeFrom = this.#begin + ulidTypeAt
    const isUsual =
      text[typeFrom - typeMark.length - 1] === comma &&
      text[typeFrom - typeMark.length] === quote &&
      text[typeFrom - 2] === colon &&
      text[typeFrom - 1] === quote
    if (!isUsual) typeFrom = text.indexOf(typeMark, this.#begin) + typeMark.length
    const type = this.#types.get(view, typeFrom)
    if (type.name === undefined) return false
    let timeFrom = typeFrom + type.length + usualTimeAt
    if (text[timeFrom - 1] !== quote || text[timeFrom - 2] !== colon)
      timeFrom = text.indexOf(timeMark, typeFrom) + timeMark.length
    let timeTo = timeFrom + usualTimeLength
    if (text[timeTo] !== quote) timeTo = timeFrom
    while (timeTo < this.#end && text[timeTo] !== quote) timeTo++
    const sourceFrom = timeTo + 2 + sourceMark.length
    if (text[sourceFrom - 1] !== colon || text[sourceFrom] !== openBrace) return false
    const source = this.#sources.get(view, sourceFrom)
    if (source.ids === undefined) return false
    if (type.wantedBy !== types) {
      type.wantedBy = types
      type.isWanted = types.has(type.name)
    }
    this.#isWanted = type.isWanted
    this.type = type.name
    this.micros = microsAt(view, timeFrom, timeTo)
    this.sourceKey = source.ids
    this.#sourceEnd = sourceFrom + source.length
    return true
  }

  #placeWhole(document: Value): void {
    const whole = isObject(document) ? document : {}
    this.#whole = whole
    this.type = String(whole.event_type)
    this.micros = toMicros(String(whole.event_timestamp))
    this.sourceKey = isObject(whole.source) ? whole.source : noIds
  }

  #dataAt(): number {
    const usual = this.#sourceEnd + 1
    const isUsual = this.#text[usual] === quote && this.#text[usual + dataMark.length - 1] === colon
    return (isUsual ? usual : this.#text.indexOf(dataMark, this.#sourceEnd)) + dataMark.length
  }

  #parseData(): unknown {
    // Behind event_data come the ids of the trace, and no object when there is nothing of OTel.
    const from = this.#dataAt()
    const hasOtel = this.#text[this.#end - 2] === closeBrace
    const to = hasOtel ? -1 : this.#traceAt()
    if (to > from) return parseJson(this.#slice(from, to))
    return (parseJson(this.#slice(this.#begin, this.#end)) as { [key: string]: Value }).event_data
  }

  #traceAt(): number {
    const usual = this.#end - usualTail
    for (let at = 0; at < traceMark.length; at += 4)
      if (this.#view.getInt32(usual + at) !== traceBytes.getInt32(at))
        return this.#text.lastIndexOf(traceMark, this.#end)
    return usual
  }

  #slice(from: number, to: number): string {
    return this.#text.toString('utf8', from, to)
  }
}

function toType(part: string, length: number): Type {
  const name = part.slice(0, -1)
  return { name: name.includes('\\') ? undefined : name, length, wantedBy: undefined, isWanted: false }
}

function toSource(part: string, length: number): Source {
  try {
    return { ids: JSON.parse(part) as Ids, length }
  } catch {
    return { ids: undefined, length }
  }
}
