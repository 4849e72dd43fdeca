import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'

/**
 * A damaged database file, page by page, without SQLite: it gives up at the first damaged page on its way, and what lies
 * behind is lost to it.
 *
 * Source: https://www.sqlite.org/fileformat2.html (1.3 database header, 1.6 b-tree pages, 4 the WAL format).
 */
export interface PageImage {
  readonly pageSize: number
  readonly pageCount: number
  /** The page with its last committed content, from 1 on; undefined where the file ends or cannot be read. */
  read(page: number): Buffer | undefined
  /** Pages that hold nothing: rows in them were deleted. */
  readonly freePages: ReadonlySet<number>
  close(): void
}

const headerText = 'SQLite format 3\0'

/** Throws Error when this is no database, or one whose first page cannot be read. */
export function openPageImage(path: string): PageImage {
  const file = openSync(path, 'r')
  const head = Buffer.alloc(100)
  readSync(file, head, 0, 100, 0)
  const log = existsSync(`${path}-wal`) ? openSync(`${path}-wal`, 'r') : undefined
  const pageSize = findPageSize(head, log)
  const { pages: logged, pageCount: loggedCount } =
    log === undefined ? { pages: new Map<number, number>(), pageCount: 0 } : readLog(log, pageSize)
  const pageCount = Math.max(Math.ceil(fstatSync(file).size / pageSize), loggedCount)

  function read(page: number): Buffer | undefined {
    if (page < 1 || page > pageCount) return undefined
    const offset = logged.get(page)
    const bytes = Buffer.alloc(pageSize)
    try {
      const count =
        offset === undefined
          ? readSync(file, bytes, 0, pageSize, (page - 1) * pageSize)
          : readSync(log!, bytes, 0, pageSize, offset)
      return count === pageSize ? bytes : undefined
    } catch {
      // A sector that the disk cannot read.
      return undefined
    }
  }

  return {
    pageSize,
    pageCount,
    read,
    freePages: findFreePages(read, pageCount),
    close() {
      closeSync(file)
      if (log !== undefined) closeSync(log)
    },
  }
}

function findPageSize(head: Buffer, log: number | undefined): number {
  const isSize = (size: number) => size >= 512 && size <= 65536 && (size & (size - 1)) === 0
  if (head.toString('latin1', 0, 16) === headerText) {
    const size = head.readUInt16BE(16)
    if (size === 1) return 65536
    if (isSize(size)) return size
  }
  // The log says it too, and SQLite's own default is 4096.
  if (log !== undefined) {
    const logHead = Buffer.alloc(32)
    readSync(log, logHead, 0, 32, 0)
    if (isSize(logHead.readUInt32BE(8))) return logHead.readUInt32BE(8)
  }
  return 4096
}

/** Offsets of the last committed content of each page in the log. Frames behind a damaged one cannot be trusted: left out. */
function readLog(log: number, pageSize: number): { pages: Map<number, number>; pageCount: number } {
  const pages = new Map<number, number>()
  let pageCount = 0
  const head = Buffer.alloc(32)
  readSync(log, head, 0, 32, 0)
  const magic = head.readUInt32BE(0)
  if (magic >>> 1 !== 0x377f0682 >>> 1) return { pages, pageCount }
  const isBigEndian = (magic & 1) === 1
  let sum = checksum(head.subarray(0, 24), [0, 0], isBigEndian)
  if (sum[0] !== head.readUInt32BE(24) || sum[1] !== head.readUInt32BE(28)) return { pages, pageCount }
  const frame = Buffer.alloc(24 + pageSize)
  let uncommitted = new Map<number, number>()
  for (let offset = 32; ; offset += frame.length) {
    if (readSync(log, frame, 0, frame.length, offset) < frame.length) break
    if (frame.compare(head, 16, 24, 8, 16) !== 0) break
    sum = checksum(frame.subarray(0, 8), sum, isBigEndian)
    sum = checksum(frame.subarray(24), sum, isBigEndian)
    if (sum[0] !== frame.readUInt32BE(16) || sum[1] !== frame.readUInt32BE(20)) break
    uncommitted.set(frame.readUInt32BE(0), offset + 24)
    const committed = frame.readUInt32BE(4)
    if (committed === 0) continue
    for (const [page, at] of uncommitted) pages.set(page, at)
    uncommitted = new Map()
    pageCount = committed
  }
  return { pages, pageCount }
}

function checksum(bytes: Buffer, [a, b]: [number, number], isBigEndian: boolean): [number, number] {
  let [one, two] = [a, b]
  for (let i = 0; i < bytes.length; i += 8) {
    one = (one + (isBigEndian ? bytes.readUInt32BE(i) : bytes.readUInt32LE(i)) + two) >>> 0
    two = (two + (isBigEndian ? bytes.readUInt32BE(i + 4) : bytes.readUInt32LE(i + 4)) + one) >>> 0
  }
  return [one, two]
}

/** As far as the list of free pages can be followed. */
function findFreePages(read: PageImage['read'], pageCount: number): Set<number> {
  const free = new Set<number>()
  const first = read(1)
  if (!first || first.toString('latin1', 0, 16) !== headerText) return free
  for (let trunk = first.readUInt32BE(32); trunk !== 0 && trunk <= pageCount && !free.has(trunk); ) {
    const page = read(trunk)
    if (!page) break
    free.add(trunk)
    const leaves = Math.min(page.readUInt32BE(4), page.length / 4 - 2)
    for (let i = 0; i < leaves; i++) free.add(page.readUInt32BE(8 + i * 4))
    trunk = page.readUInt32BE(0)
  }
  return free
}
