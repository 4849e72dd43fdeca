import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createEventId } from '../event/id.ts'
import type { EncodedContext } from '../otlp/encode.ts'
import type { Run } from '../otlp/request.ts'
import { makeFolder } from './folder.ts'
import { frameBytes } from './frame.ts'
import { createSegment, type Segment } from './segment.ts'
import { createFileStore } from './store.ts'

export const refusedName = 'refused'
const segmentBytes = 4 * 1024 * 1024

/** Records that the endpoint refused for good, in segments of their own: for people to look at, never sent again. */
export interface RefusedFolder {
  readonly path: string
  /** All of them or, if it throws, perhaps some. */
  keep(runs: readonly Run[]): void
  close(): void
}

export function createRefusedFolder(
  stream: string,
  { maxBytes, isSynced }: { maxBytes: number; isSynced: boolean },
): RefusedFolder {
  const path = join(stream, refusedName)
  const contexts = new Map<string, EncodedContext>()
  let segment: Segment | undefined

  const contextOf = (bytes: Uint8Array): EncodedContext => {
    const key = Buffer.from(bytes).toString('latin1')
    let context = contexts.get(key)
    if (context === undefined) {
      context = { bytes: Buffer.from(bytes) } as EncodedContext
      contexts.set(key, context)
    }
    return context
  }

  function next(): Segment {
    segment?.store.seal()
    contexts.clear()
    makeFolder(path)
    segment = createSegment(createFileStore(join(path, `${createEventId()}.seg`), { isSynced }), segmentBytes)
    return segment
  }

  return {
    path,
    keep(runs) {
      const bytes = runs.reduce((sum, run) => sum + run.bytes, 0)
      if (sizeOf(path) + bytes > maxBytes) throw new Error(`${path} has more than ${maxBytes} bytes`)
      for (const { context, records } of runs) {
        for (const record of records) {
          const buffer = Buffer.allocUnsafe(frameBytes + record.length)
          buffer.set(record, frameBytes)
          const target = segment?.fits(buffer.length) ? segment : next()
          target.append({ buffer, start: frameBytes, end: buffer.length, context: contextOf(context) })
        }
      }
    },
    close() {
      segment?.store.seal()
      segment = undefined
    },
  }
}

function sizeOf(folder: string): number {
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
  } catch {
    return 0
  }
}
