import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import { readConfig } from '../config/config.ts'
import { countOf } from '../plural.ts'
import type { EventStore } from '../store/event-store.ts'
import { openSqliteStore } from '../store/sqlite/event-store.ts'
import { openSalvage, type Salvage } from '../store/sqlite/salvage.ts'
import { importEvents } from '../transfer/import.ts'
import { fromStored } from '../transfer/source.ts'
import type { CommandCall } from './call.ts'
import { openOutput } from './output-file.ts'
import { createProgress } from './progress.ts'
import { createLog } from './serve.ts'
import type { Terminal } from './terminal.ts'

const shownIds = 20

/** Copies what is readable of a damaged SQLite file into a new one, and says which ids are missing. */
export async function salvage(call: CommandCall, terminal: Terminal): Promise<number> {
  const [from, to] = call.arguments.map((one) =>
    resolve(terminal.workingDirectory, one.replace(/^sqlite:/, '')),
  ) as [string, string]
  if (!existsSync(from)) throw new EventError('EVT_CONFIG', `there is no file ${from}`)
  if (existsSync(to))
    throw new EventError('EVT_CONFIG', `${to} exists already: what is saved goes into a new file`)
  const source = open(from)
  const report = call.options.report
    ? openOutput(resolve(terminal.workingDirectory, String(call.options.report)))
    : undefined
  const log = createLog({ ...readConfig({ ...terminal, flags: call.flags }), logLevel: 'warn' }, terminal)
  const store = await openSqliteStore({ path: to, log })
  try {
    const progress = createProgress(terminal, undefined)
    const copied = await importEvents(fromStored(source.find()), {
      store,
      signal: terminal.stopping,
      onProgress: ({ read }) => progress.show(read, countOf(read, 'event')),
      onNote: (note) => report?.write(`${JSON.stringify(note)}\n`),
    })
    const missing: string[] = []
    let missingCount = 0
    for await (const id of findMissing(source, store)) {
      missingCount++
      if (missing.length < shownIds) missing.push(id)
      report?.write(`${JSON.stringify({ missing: id })}\n`)
    }
    progress.end()
    const { pageCount, damagedPages } = source
    const result = {
      events: copied.stored,
      refused: copied.refused,
      missing: missingCount,
      missingIds: missing,
      pageCount,
      damagedPages,
    }
    if (call.options.json) terminal.stdout.write(`${JSON.stringify(result)}\n`)
    else for (const line of toLines(result, to)) terminal.stdout.line(line)
    return missingCount + copied.refused + damagedPages === 0 && copied.isWhole ? 0 : 1
  } finally {
    report?.end()
    source.close()
    await store.close()
  }
}

function open(path: string): Salvage {
  try {
    return openSalvage(path)
  } catch (cause) {
    throw new EventError('EVT_STORE_UNAVAILABLE', `${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** Ids of the index whose event was not copied. */
async function* findMissing(source: Salvage, store: EventStore): AsyncGenerator<string> {
  for await (const ids of source.ids()) {
    const found = await store.locate(ids)
    for (const id of ids) if (!found.has(id)) yield id
  }
}

function toLines(
  result: {
    events: number
    refused: number
    missing: number
    missingIds: readonly string[]
    pageCount: number
    damagedPages: number
  },
  to: string,
): string[] {
  const { events, refused, missing, missingIds, pageCount, damagedPages } = result
  const lines = [
    `${countOf(events, 'event was', 'events were')} copied to ${to}`,
    `${countOf(missing, 'event is known by its id', 'events are known by their id')} and cannot be read${missing > 0 ? ':' : ''}`,
    ...missingIds.map((id) => `  ${id}`),
  ]
  if (missing > missingIds.length) lines.push(`  and ${missing - missingIds.length} more; --report names all`)
  if (refused > 0) lines.push(`${countOf(refused, 'event was', 'events were')} refused`)
  if (damagedPages > 0)
    lines.push(
      `${damagedPages} of ${pageCount} pages of the events and of their index cannot be read; events that they held may be missing without a name`,
    )
  lines.push('alerts, and the checkpoints of the fan-out, were not copied')
  return lines
}
