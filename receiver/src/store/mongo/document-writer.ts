import { isUtf8 } from 'node:buffer'
import { fromDocument, fromExactJson, parseJson, type Value } from '@madsci-events/sdk/event'
import { DocumentBytes } from '../../document/document-bytes.ts'
import { type DocumentWriter, maxPlaces } from '../../document/document-writer.ts'
import { type Bytes, toKey, Word } from '../../document/word.ts'
import { decodeStoredEvent } from './decode.ts'
import { bsonType, encodeMembers, room } from './encode.ts'

const places = Array.from({ length: maxPlaces }, (_, index) => new Word(String(index)))

/** Documents as BSON, the same bytes as EventEncoder makes of the event. */
export class BsonWriter extends DocumentBytes implements DocumentWriter {
  readonly form = 'bson'

  constructor() {
    super(room)
  }

  begin(): void {
    this.startOfDocument = this.to.position
    this.to.reserve(16)
    this.to.position += 4
  }

  end(): number {
    this.close(this.startOfDocument)
    return this.to.position
  }

  text(key: Word, from: Bytes, start: number, stop: number): boolean {
    const { to } = this
    this.head(bsonType.text, key, stop - start + 8)
    to.int32(stop - start + 1)
    const isAscii = to.copy(from, start, stop)
    to.byte(0)
    return isAscii || isUtf8(from.bytes.subarray(start, stop))
  }

  number(key: Word, value: number): boolean {
    if ((value | 0) === value && !Object.is(value, -0)) {
      this.head(bsonType.int32, key, 4)
      this.to.int32(value)
    } else if (Number.isSafeInteger(value) && value !== 0) {
      this.head(bsonType.int64, key, 8)
      this.to.int32(value | 0)
      this.to.int32(Math.floor(value / 2 ** 32))
    } else {
      this.head(bsonType.double, key, 8)
      this.to.double(value)
    }
    return true
  }

  boolean(key: Word, value: boolean): void {
    this.head(bsonType.boolean, key, 1)
    this.to.byte(value ? 1 : 0)
  }

  null(key: Word): void {
    this.head(bsonType.null, key, 0)
  }

  openObject(key: Word): number {
    return this.open(bsonType.object, key)
  }

  openArray(key: Word): number {
    return this.open(bsonType.array, key)
  }

  closeObject(start: number): void {
    this.close(start)
  }

  closeArray(start: number): void {
    this.close(start)
  }

  placeOf(index: number): Word {
    return places[index]!
  }

  prepare(object: { [key: string]: Value }): Uint8Array | undefined {
    return encodeMembers(object)
  }

  members(prepared: Uint8Array): void {
    this.to.reserve(prepared.length)
    this.to.bytes(prepared)
  }

  read(document: Uint8Array) {
    const { json, exact } = decodeStoredEvent(document)
    const members = exact === undefined ? parseJson(json) : fromExactJson(exact)
    return fromDocument(members as { [key: string]: Value })
  }

  /** Type and key. Makes room for `more` bytes behind them. */
  private head(type: number, key: Word, more: number): void {
    if (key.keyForm !== 'bson') {
      key.key = toKey(Buffer.concat([key.bytes, Buffer.of(0)]))
      key.keyForm = 'bson'
    }
    const { to } = this
    to.reserve(key.key!.length + more + 8)
    to.byte(type)
    to.key(key.key!)
  }

  private open(type: number, key: Word): number {
    this.head(type, key, 4)
    this.to.position += 4
    return this.to.position - 4
  }

  private close(start: number): void {
    const { to } = this
    to.reserve(1)
    to.byte(0)
    to.setInt32(start, to.position - start)
  }
}
