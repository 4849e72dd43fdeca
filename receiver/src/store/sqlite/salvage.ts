import type { StoredEvent } from '../event-store.ts'
import { openPageImage, type PageImage } from './page-image.ts'
import { type Cell, readCells, readChildren } from './record.ts'

/** What can be read of a damaged database file. */
export interface Salvage {
  /** Every event that can be read, in order of commit; an event comes twice when the file holds it twice. */
  find(): AsyncGenerator<StoredEvent[]>
  /** Ids in the index of ids, as far as it can be read. */
  ids(): AsyncGenerator<string[]>
  readonly pageCount: number
  /** Pages of the events or of the index of ids that cannot be read, as far as other pages name them. */
  readonly damagedPages: number
  close(): void
}

/**
 * Reads the leaves of the b-trees themselves, wherever they lie, so that an event costs only the damage of its own pages.
 * An event counts as read when its columns have the types of the table and its document is JSON that names the same id:
 * other damage within a text cannot be seen. Throws Error when the file cannot be opened at all.
 */
export function openSalvage(path: string): Salvage {
  const image = openPageImage(path)
  const roots = findRoots(image)
  const [table, index] = [walk(image, roots.table), walk(image, roots.index)]
  const leaves = findLeaves(image)
  return {
    pageCount: image.pageCount,
    damagedPages: table.damaged + index.damaged,
    async *find() {
      for (const page of leaves) {
        const events = cellsOf(image, page).flatMap((cell) => rowEvent(cell) ?? [])
        if (events.length > 0) yield events
      }
    },
    async *ids() {
      for (const page of index.pages)
        yield cellsOf(image, page).flatMap(({ columns: [id] }) => (typeof id === 'string' ? id : []))
    },
    close: () => image.close(),
  }
}

const cellsOf = (image: PageImage, number: number): Cell[] => {
  const page = image.read(number)
  return (page && readCells(image, page, number)) ?? []
}

/** From the schema on the first page; undefined where that is damaged. */
function findRoots(image: PageImage): { table: number | undefined; index: number | undefined } {
  const rows = cellsOf(image, 1)
  const rootOf = (name: string) => {
    const root = rows.find(({ columns }) => columns[1] === name)?.columns[3]
    return typeof root === 'number' ? root : undefined
  }
  return { table: rootOf('events'), index: rootOf('sqlite_autoindex_events_1') }
}

/** The pages of a b-tree from its root on. A root that nobody knows is a damaged page. */
function walk(image: PageImage, root: number | undefined): { pages: number[]; damaged: number } {
  const pages: number[] = []
  const seen = new Set<number>()
  let damaged = root === undefined ? 1 : 0
  const waiting = root === undefined ? [] : [root]
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (seen.has(number)) continue
    seen.add(number)
    const page = image.read(number)
    const children = page && readChildren(page, number)
    if (!children) damaged++
    else {
      pages.push(number)
      waiting.push(...children)
    }
  }
  return { pages, damaged }
}

/** Leaves of the table by their first row, which is the order of commit: two leaves never overlap. */
function findLeaves(image: PageImage): number[] {
  const leaves: { page: number; first: number }[] = []
  for (let page = 1; page <= image.pageCount; page++) {
    if (image.freePages.has(page)) continue
    const row = cellsOf(image, page).find((cell) => rowEvent(cell) !== undefined)
    if (row) leaves.push({ page, first: row.rowid })
  }
  return leaves.sort((a, b) => a.first - b.first).map(({ page }) => page)
}

/** The columns of `events` (schema.ts); `rest` is missing in rows of an older release. */
function rowEvent({ columns }: Cell): StoredEvent | undefined {
  const [seq, id, timestamp, level, archived, archivedAt, document, exact] = columns
  const isRow =
    (columns.length === 8 || columns.length === 9) &&
    seq === null &&
    typeof id === 'string' &&
    typeof timestamp === 'string' &&
    typeof level === 'number' &&
    typeof archived === 'number' &&
    typeof archivedAt === 'number' &&
    typeof document === 'string' &&
    (exact === null || typeof exact === 'string')
  if (!isRow) return undefined
  try {
    const parsed = JSON.parse(document) as { _id?: unknown } | null
    if (parsed?._id !== id) return undefined
    if (exact !== null) JSON.parse(exact)
  } catch {
    return undefined
  }
  return exact === null ? { id, json: document } : { id, json: document, exact }
}
