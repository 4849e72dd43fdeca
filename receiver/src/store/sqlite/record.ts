import type { PageImage } from './page-image.ts'

/** A value of a row; blobs do not occur in our tables. */
export type Column = null | number | string

export interface Cell {
  /** 0 in an index. */
  rowid: number
  columns: Column[]
}

const tableInterior = 0x05
const tableLeaf = 0x0d
const indexLeaf = 0x0a
const indexInterior = 0x02

/** Records of a b-tree page, those that can be read; undefined for a page of another kind. */
export function readCells(image: PageImage, page: Buffer, number: number): Cell[] | undefined {
  // The first page begins with the header of the file.
  const start = number === 1 ? 100 : 0
  const kind = page[start]!
  if (kind !== tableLeaf && kind !== indexLeaf && kind !== indexInterior) return undefined
  const count = page.readUInt16BE(start + 3)
  const pointers = start + (kind === indexInterior ? 12 : 8)
  const cells: Cell[] = []
  for (let i = 0; i < count && pointers + i * 2 + 2 <= page.length; i++) {
    const cell = readCell(image, page, page.readUInt16BE(pointers + i * 2), kind)
    if (cell) cells.push(cell)
  }
  return cells
}

/** Child pages of a b-tree page, none for a leaf; undefined for a page of another kind. */
export function readChildren(page: Buffer, number: number): number[] | undefined {
  const start = number === 1 ? 100 : 0
  const kind = page[start]!
  if (kind === tableLeaf || kind === indexLeaf) return []
  if (kind !== tableInterior && kind !== indexInterior) return undefined
  const children: number[] = []
  const count = page.readUInt16BE(start + 3)
  for (let at = start + 12; at + 2 <= page.length && at < start + 12 + count * 2; at += 2) {
    const cell = page.readUInt16BE(at)
    if (cell + 4 <= page.length) children.push(page.readUInt32BE(cell))
  }
  return [...children, page.readUInt32BE(start + 8)]
}

/** Undefined for a cell that is none: its numbers lead outside of the page, or its columns are not what they say. */
function readCell(image: PageImage, page: Buffer, start: number, kind: number): Cell | undefined {
  const reader = createReader(page, kind === indexInterior ? start + 4 : start)
  const payloadBytes = reader.varint()
  const rowid = kind === tableLeaf ? reader.varint() : 0
  if (payloadBytes === undefined || rowid === undefined || payloadBytes < 1 || payloadBytes > 2 ** 30)
    return undefined
  const payload = readPayload(image, page, reader.position(), payloadBytes, kind === tableLeaf)
  const columns = payload && readColumns(payload)
  return columns && { rowid, columns }
}

/** The payload with what lies on overflow pages. Source: file format, 1.6 "B-tree Cell Format". */
function readPayload(
  image: PageImage,
  page: Buffer,
  start: number,
  bytes: number,
  isTable: boolean,
): Buffer | undefined {
  const usable = page.length
  const most = isTable ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23
  if (bytes <= most) return start + bytes <= usable ? page.subarray(start, start + bytes) : undefined
  const least = Math.floor(((usable - 12) * 32) / 255) - 23
  const even = least + ((bytes - least) % (usable - 4))
  const local = even <= most ? even : least
  if (start + local + 4 > usable) return undefined
  const parts = [page.subarray(start, start + local)]
  let missing = bytes - local
  let next = page.readUInt32BE(start + local)
  while (missing > 0) {
    const overflow = next === 0 ? undefined : image.read(next)
    if (!overflow) return undefined
    parts.push(overflow.subarray(4, 4 + Math.min(missing, usable - 4)))
    missing -= usable - 4
    next = overflow.readUInt32BE(0)
  }
  return Buffer.concat(parts)
}

function readColumns(payload: Buffer): Column[] | undefined {
  const reader = createReader(payload, 0)
  const headerBytes = reader.varint()
  if (headerBytes === undefined || headerBytes > payload.length) return undefined
  const types: number[] = []
  while (reader.position() < headerBytes) {
    const type = reader.varint()
    if (type === undefined) return undefined
    types.push(type)
  }
  const columns: Column[] = []
  let at = headerBytes
  for (const type of types) {
    const bytes = type >= 12 ? (type - (type % 2 === 0 ? 12 : 13)) / 2 : ([0, 1, 2, 3, 4, 6, 8, 8][type] ?? 0)
    if (at + bytes > payload.length) return undefined
    columns.push(toColumn(payload, at, type, bytes))
    at += bytes
  }
  return columns
}

/** Source: file format, 2.1 "Record Format", the serial types. */
function toColumn(payload: Buffer, at: number, type: number, bytes: number): Column {
  if (type === 8 || type === 9) return type - 8
  if (type >= 13 && type % 2 === 1) return payload.toString('utf8', at, at + bytes)
  if (type >= 1 && type <= 5) return payload.readIntBE(at, bytes)
  if (type === 6) return Number(payload.readBigInt64BE(at))
  if (type === 7) return payload.readDoubleBE(at)
  return null
}

function createReader(bytes: Buffer, start: number) {
  let at = start
  return {
    position: () => at,
    /** Big-endian, at most nine bytes; undefined at the end, and above 2^53. */
    varint(): number | undefined {
      let value = 0
      for (let i = 0; i < 9; i++) {
        const byte = bytes[at++]
        if (byte === undefined) return undefined
        value = i === 8 ? value * 256 + byte : value * 128 + (byte & 127)
        if (i === 8 || byte < 128) return Number.isSafeInteger(value) ? value : undefined
      }
      return undefined
    },
  }
}
