import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import { createZoneConverter, EventError, type Value } from '@madsci-events/sdk/event'
import { verifyBackup } from '../backup/backup.ts'
import { type Config, readConfig } from '../config/config.ts'
import { openSource, openStore } from '../database.ts'
import { toLevel } from '../level.ts'
import { countOf } from '../plural.ts'
import { findIds, resolveSearch } from '../search/name.ts'
import type { EventSource, EventStore, FindQuery } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import { fromCsv } from '../transfer/csv.ts'
import { type ExportFormat, exportFormats, toExport } from '../transfer/export.ts'
import { type Repair, repairs } from '../transfer/heal.ts'
import { type ImportChunk, type ImportReport, importEvents, type Period } from '../transfer/import.ts'
import { fromLines, fromStored } from '../transfer/source.ts'
import { showUrl } from '../url.ts'
import type { CommandCall } from './call.ts'
import { levelWords, readLine, toTime } from './event-filter.ts'
import { openOutput } from './output-file.ts'
import { createProgress } from './progress.ts'
import { createLog } from './serve.ts'
import type { Terminal } from './terminal.ts'
import { wrong } from './wrong.ts'

/** Commands that open the database themselves. */

const text = (value: string | true | undefined) => (value === undefined ? undefined : String(value))

function toQuery({ options }: CommandCall, selector: Value | undefined): FindQuery {
  const level = options.level === undefined ? 0 : toLevel(options.level)
  if (level === undefined) throw wrong(`--level must be ${levelWords}: '${options.level}'`)
  return {
    ...everything,
    ...(selector !== undefined && { selector: parseSelector(selector) }),
    minLevel: level,
    ...toPeriod(options),
  }
}

/** What lies between --start_time and --end_time. */
function toPeriod({ start_time: start, end_time: end }: CommandCall['options']): Period {
  const now = new Date()
  return {
    ...(start !== undefined && { startTime: toTime('start_time', String(start), now) }),
    ...(end !== undefined && { endTime: toTime('end_time', String(end), now) }),
  }
}

export async function exportEvents(call: CommandCall, terminal: Terminal): Promise<number> {
  const config = readConfig({ ...terminal, flags: call.flags })
  const format = (text(call.options.format) ?? 'ndjson') as ExportFormat
  if (!exportFormats.includes(format)) throw wrong(`--format must be one of ${exportFormats.join(', ')}`)
  const search =
    call.options.q === undefined ? undefined : readLine('--q', String(call.options.q), new Date())
  // Read for its errors before a database is opened.
  toQuery(call, undefined)
  const from = text(call.options.from) ?? config.documentDbUrl
  const source = await openSource(from, config, terminal.workingDirectory)
  const [file] = call.arguments
  const output =
    file === undefined || file === '-' ? undefined : openOutput(resolve(terminal.workingDirectory, file))
  // With a filter nobody knows how many there will be.
  const isFiltered = ['q', 'level', 'start_time', 'end_time'].some((name) => call.options[name] !== undefined)
  const progress = createProgress(terminal, isFiltered ? undefined : source.eventCount)
  let count = 0
  try {
    // Without a time limit: a name that only the oldest events tell counts too.
    const selector =
      search && (await resolveSearch(search, (named) => findIds(source, named, { timeoutMs: 0 })))
    const query = toQuery(call, selector)
    for await (const piece of toExport(source.find(query), format, (more) => {
      count += more
    })) {
      if (terminal.stopping.aborted) return 1
      if (!output) await write(terminal, piece)
      else if (!output.write(piece)) await once(output, 'drain')
      if (output) progress.show(count)
    }
    output?.end()
    if (output) await finished(output)
    progress.end()
    const said = `${countOf(count, 'event was', 'events were')} exported`
    // An empty answer is often another database's.
    const asked = count === 0 ? ` from ${showUrl(from)}; --from=… reads another database or a backup` : ''
    if (!call.options.json) terminal.stderr.write(`${said}${asked}\n`)
    else (output ? terminal.stdout : terminal.stderr).write(`${JSON.stringify({ events: count })}\n`)
    return 0
  } finally {
    await source.close()
  }
}

/** Waits while the reader of standard output does. */
async function write({ stdout }: Terminal, piece: string): Promise<void> {
  if (stdout.write(piece) === false) await stdout.drained()
}

export async function importFrom(call: CommandCall, terminal: Terminal): Promise<number> {
  const from = call.arguments[0]!
  const config = readConfig({ ...terminal, flags: call.flags })
  const zone = text(call.options.zone)
  let fromNaive: ((naive: string) => string) | undefined
  try {
    if (zone !== undefined) fromNaive = createZoneConverter(zone)
  } catch {
    throw wrong(`--zone must be an IANA time zone, like Europe/Berlin: '${zone}'`)
  }
  const period = toPeriod(call.options)
  const input = await openInput(from, call, config, terminal)
  const notes = call.options.report
    ? openOutput(resolve(terminal.workingDirectory, String(call.options.report)))
    : undefined
  const progress = createProgress(terminal, input.total)
  try {
    const report = await withStore(config, terminal, (store) =>
      importEvents(input.chunks, {
        store,
        period,
        heal: { promote: call.options.promote === true, ...(fromNaive && { fromNaive }) },
        signal: terminal.stopping,
        onProgress: ({ read }) => progress.show(input.done() ?? read, countOf(read, 'event')),
        onNote: (note) => notes?.write(`${JSON.stringify(note)}\n`),
      }),
    )
    progress.end()
    terminal.stdout.write(call.options.json ? `${JSON.stringify(toFigures(report))}\n` : toReport(report))
    if (report.refused > 0 && input.isText && !call.options.json)
      terminal.stderr.line('lines of the log of the Python client are imported with --text')
    return report.isWhole && report.refused === 0 ? 0 : 1
  } finally {
    notes?.end()
    await input.close()
  }
}

async function openInput(
  from: string,
  { options }: CommandCall,
  config: Config,
  { workingDirectory }: Terminal,
): Promise<Input> {
  const path = resolve(workingDirectory, from)
  const isDatabase = /^(mongodb(\+srv)?|sqlite):/.test(from)
  const file = isDatabase ? undefined : await stat(path).catch(() => undefined)
  if (file?.isFile()) {
    let bytesRead = 0
    const onRead = (bytes: number) => {
      bytesRead = bytes
    }
    return {
      chunks: /\.csv$/i.test(path)
        ? fromCsv(path, onRead)
        : fromLines(path, { text: options.text === true, onRead }),
      total: file.size,
      done: () => bytesRead,
      isText: options.text !== true && !/\.(csv|ndjson|jsonl?)$/i.test(path),
      close: async () => {},
    }
  }
  if (!isDatabase && !file) throw new EventError('EVT_CONFIG', `there is no file or folder ${path}`)
  const source = await openSource(from, config, workingDirectory)
  return {
    chunks: fromStored(source.find(everything)),
    total: source.eventCount,
    done: () => undefined,
    isText: false,
    close: () => source.close(),
  }
}

interface Input {
  chunks: AsyncIterable<ImportChunk>
  /** Bytes of a file, or events; undefined when nobody knows. */
  total: number | undefined
  /** Bytes of a file that were read; undefined where events count. */
  done(): number | undefined
  /** A file that may be the text of a log. */
  isText: boolean
  close(): Promise<void>
}

const everything: FindQuery = {
  archived: 'include',
  canaries: 'include',
  order: 'none',
  limit: 0,
  offset: 0,
  timeoutMs: 0,
}

async function withStore<T>(
  config: Config,
  terminal: Terminal,
  use: (store: EventStore) => Promise<T>,
): Promise<T> {
  const log = createLog(
    { ...config, logLevel: config.given.has('log_level') ? config.logLevel : 'warn' },
    terminal,
  )
  const { store } = await openStore(config, {
    log,
    workingDirectory: terminal.workingDirectory,
    isWithoutSummaries: true,
  })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

/** For programs; --report has each refusal. */
function toFigures({ reasons: _, ...figures }: ImportReport): object {
  return figures
}

function toReport(report: ImportReport): string {
  const lines = [
    `${report.read} read: ${report.stored} stored, ${report.duplicate} there already, ${report.refused} refused${report.outside ? `, ${report.outside} outside of the period` : ''}`,
    ...Object.entries(report.repairs).map(([name, count]) => `  ${count} × ${repairs[name as Repair]}`),
  ]
  for (const { reason, count, where } of report.reasons)
    lines.push(`  ${count} refused: ${reason}; the first at ${where}`)
  if (!report.isWhole) lines.push('stopped before the end; run it again to go on')
  return `${lines.join('\n')}\n`
}

export async function restore(call: CommandCall, terminal: Terminal): Promise<number> {
  const folder = resolve(terminal.workingDirectory, call.arguments[0]!)
  const config = readConfig({ ...terminal, flags: call.flags })
  const metadata = await verifyBackup(folder)
  const progress = createProgress(terminal, metadata.events)
  const result = await withStore(config, terminal, async (store) => {
    const source = await openSource(folder, config, terminal.workingDirectory)
    try {
      const report = await importEvents(fromStored(source.find(everything)), {
        store,
        signal: terminal.stopping,
        onProgress: ({ read }) => progress.show(read),
      })
      return {
        ...report,
        missing: await countMissing(source, store, (checked) =>
          progress.show(checked, `${countOf(checked, 'id')} checked`),
        ),
      }
    } finally {
      await source.close()
    }
  })
  progress.end()
  // The original's backups do not say how many events they hold.
  const isComplete = metadata.events === undefined || metadata.events === result.read
  const isGood = result.isWhole && result.missing === 0 && result.refused === 0 && isComplete
  terminal.stdout.write(
    call.options.json
      ? `${JSON.stringify({ ...toFigures(result), missing: result.missing, expected: metadata.events ?? null })}\n`
      : `${toReport(result)}${isGood ? 'every id of the backup is in the database' : `${countOf(result.missing, 'id of the backup is', 'ids of the backup are')} missing; ${metadata.events === undefined ? '? events were' : countOf(metadata.events, 'event was', 'events were')} expected`}\n`,
  )
  return isGood ? 0 : 1
}

/** Asks the store for every id of the source. */
async function countMissing(
  source: EventSource,
  store: EventStore,
  onProgress: (checked: number) => void,
): Promise<number> {
  let missing = 0
  let checked = 0
  for await (const chunk of source.find(everything)) {
    const ids = chunk.map(({ id }) => id)
    const selector = parseSelector({ _id: { $in: [...new Set(ids)] } })
    missing += new Set(ids).size
    for await (const found of store.find({ ...everything, selector })) missing -= found.length
    checked += chunk.length
    onProgress(checked)
  }
  return missing
}
