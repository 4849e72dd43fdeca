import { EventError } from '@madsci-events/sdk/event'

/** An entry that was passed over, or whose number was not there: looked at again for a while. */
export interface LateEntry {
  r: string
  n: number
  /** Ranges of positions that were not there; undefined when the entry itself was not. */
  missing: number[] | undefined
  passedMs: number
}

/** Where a follower stands: for each receiver the last entry taken whole, and how many ids of the next one. */
export interface CommitPosition {
  receivers: Map<string, { n: number; taken: number }>
  late: LateEntry[]
}

export function decodeCursor(cursor: string): CommitPosition {
  if (cursor === '') return { receivers: new Map(), late: [] }
  try {
    const { r, l } = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as {
      r: [string, number, number][]
      l: [string, number, number, number[] | null][]
    }
    // It goes into queries: anything else than texts and numbers is of somebody else.
    for (const [name, ...numbers] of r) check(name, numbers)
    for (const [name, n, passedMs, missing] of l) check(name, [n, passedMs, ...(missing ?? [])])
    return {
      receivers: new Map(r.map(([name, n, taken]) => [name, { n, taken }])),
      late: l.map(([name, n, passedMs, missing]) => ({
        r: name,
        n,
        passedMs,
        missing: missing ?? undefined,
      })),
    }
  } catch (cause) {
    throw new EventError('EVT_INVALID', 'the commit cursor is none of ours', { cause })
  }
}

function check(name: unknown, numbers: readonly unknown[]): void {
  if (
    typeof name !== 'string' ||
    !name.isWellFormed() ||
    name.includes('\0') ||
    !numbers.every(Number.isSafeInteger)
  )
    throw new TypeError('unexpected values')
}

export function encodeCursor({ receivers, late }: CommitPosition): string {
  const r = [...receivers].map(([name, { n, taken }]) => [name, n, taken])
  const l = late.map((one) => [one.r, one.n, one.passedMs, one.missing ?? null])
  return Buffer.from(JSON.stringify({ r, l })).toString('base64url')
}
