import { BSON } from 'mongodb'
import type { ScannedEvent } from '../event-scan.ts'
import { microsAt } from '../instant.ts'

/** BSON types that stand before a value, by their number. */
const text = 2
const object = 3

/**
 * Reads what a report needs straight from the bytes of a document: one walk over its top level notes where the members lie.
 * Documents of other programs may lack any of them.
 */
export function createMongoEvent(): ScannedEvent & {
  place(document: Uint8Array, types: ReadonlySet<string>): void
} {
  let bytes: Buffer = Buffer.alloc(0)
  let view = new DataView(bytes.buffer)
  let sourceAt = 0
  let dataAt = 0
  let dataType = 0
  let isWanted = false
  let parsed: unknown
  let isParsed = false

  const textAt = (position: number) =>
    bytes.toString('utf8', position + 4, position + 3 + bytes.readInt32LE(position))

  function microsOf(position: number): number {
    // Documents of one answer lie in one buffer.
    if (view.buffer !== bytes.buffer) view = new DataView(bytes.buffer)
    const from = bytes.byteOffset + position + 4
    return microsAt(view, from, from + bytes.readInt32LE(position) - 1)
  }

  const event = {
    id: '',
    type: '',
    micros: Number.NaN,
    place(document: Uint8Array, types: ReadonlySet<string>) {
      bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength)
      event.id = ''
      event.type = ''
      event.micros = Number.NaN
      sourceAt = 0
      dataAt = 0
      const last = bytes.length - 1
      for (let position = 4; position < last; ) {
        const kind = bytes[position]!
        const keyEnd = bytes.indexOf(0, position + 1)
        const value = keyEnd + 1
        const length = keyEnd - position - 1
        // _id, source, event_type, event_data, event_timestamp: told apart by length, and one letter.
        if (length === 3) {
          if (kind === text) event.id = textAt(value)
          else event.id = JSON.stringify(BSON.EJSON.serialize(element(kind, value)))
        } else if (length === 6 && kind === object && bytes[position + 1] === 0x73) sourceAt = value
        else if (length === 10 && bytes[position + 7] === 0x74) {
          if (kind === text) event.type = textAt(value)
        } else if (length === 10 && bytes[position + 7] === 0x64) {
          dataAt = value
          dataType = kind
        } else if (length === 15 && kind === text) event.micros = microsOf(value)
        position = value + sizeOf(kind, value)
      }
      isWanted = types.has(event.type)
      isParsed = false
    },
    source(name: string): string | undefined {
      const at = sourceAt === 0 ? undefined : find(sourceAt, name)
      if (at === undefined || bytes[at] !== text) return undefined
      return textAt(at + name.length + 2) || undefined
    },
    data(): unknown {
      if (!isWanted || dataAt === 0) return undefined
      if (isParsed) return parsed
      isParsed = true
      parsed =
        dataType === object
          ? BSON.deserialize(bytes.subarray(dataAt, dataAt + bytes.readInt32LE(dataAt)))
          : (element(dataType, dataAt) as { v: unknown }).v
      return parsed
    },
    field(name: string): unknown {
      if (!isWanted || dataType !== object || dataAt === 0) return undefined
      if (isParsed) return (parsed as { [key: string]: unknown })[name]
      const at = find(dataAt, name)
      if (at === undefined) return undefined
      const kind = bytes[at]!
      const value = at + name.length + 2
      return kind === text ? textAt(value) : (element(kind, value) as { v: unknown }).v
    },
  }

  /** Where the element of that name begins in the document at this place. */
  function find(document: number, name: string): number | undefined {
    const last = document + bytes.readInt32LE(document) - 1
    for (let position = document + 4; position < last; ) {
      const keyEnd = bytes.indexOf(0, position + 1)
      if (keyEnd - position - 1 === name.length && isKey(position + 1, name)) return position
      position = keyEnd + 1 + sizeOf(bytes[position]!, keyEnd + 1)
    }
    return undefined
  }

  function isKey(position: number, name: string): boolean {
    for (let i = 0; i < name.length; i++) if (bytes[position + i] !== name.charCodeAt(i)) return false
    return true
  }

  /** {v: the value}, from a document that is made around its bytes. */
  function element(kind: number, position: number): object {
    const size = sizeOf(kind, position)
    const around = Buffer.alloc(size + 8)
    around.writeInt32LE(around.length)
    around[4] = kind
    around[5] = 0x76
    bytes.copy(around, 7, position, position + size)
    return BSON.deserialize(around)
  }

  function sizeOf(kind: number, position: number): number {
    switch (kind) {
      case text:
      case 13:
      case 14:
        return 4 + bytes.readInt32LE(position)
      case object:
      case 4:
      case 15:
        return bytes.readInt32LE(position)
      case 5:
        return 5 + bytes.readInt32LE(position)
      case 1:
      case 9:
      case 17:
      case 18:
        return 8
      case 7:
        return 12
      case 8:
        return 1
      case 11:
        return bytes.indexOf(0, bytes.indexOf(0, position) + 1) + 1 - position
      case 12:
        return 16 + bytes.readInt32LE(position)
      case 16:
        return 4
      case 19:
        return 16
      default:
        return 0
    }
  }

  return event
}
