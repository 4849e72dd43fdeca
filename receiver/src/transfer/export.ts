import {
  type Event,
  fromDocument,
  fromExactJson,
  parseJson,
  toExactJson,
  toJson,
  type Value,
} from '@madsci-events/sdk/event'
import { toCsvCell } from '../csv-cell.ts'
import { toLogsDataText } from '../otlp/encode-json.ts'
import { groupRecords } from '../otlp/group.ts'
import type { StoredEvent } from '../store/event-store.ts'

/**
 * Forms of an export:
 *  - `ndjson`: a document a line, exact (sdk event/json.ts), so that `import` gives back what was stored;
 *  - `csv`: a row an event, RFC 4180, `source` and `event_data` as JSON, formulas made inert (../csv-cell.ts);
 *  - `otlp`: a line of OTLP LogsData for some events, as the OpenTelemetry file exporter writes and its receiver reads.
 */
export const exportFormats = ['ndjson', 'csv', 'otlp'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** The whole event behind a stored one. */
export function toEvent(stored: StoredEvent): Event {
  const document = stored.exact === undefined ? parseJson(stored.json) : fromExactJson(stored.exact)
  return fromDocument(document as { [key: string]: Value })
}

export const csvColumns = [
  'event_id',
  'event_type',
  'log_level',
  'alert',
  'event_timestamp',
  'source',
  'event_data',
  'trace_id',
  'span_id',
  'archived',
  'archived_at',
] as const

/** Text of the export, piece by piece; memory does not grow with the number of events. */
export async function* toExport(
  chunks: AsyncIterable<StoredEvent[]>,
  format: ExportFormat,
  onEvents: (count: number) => void = () => {},
): AsyncGenerator<string> {
  if (format === 'csv') yield `${csvColumns.join(',')}\r\n`
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue
    onEvents(chunk.length)
    if (format === 'ndjson') yield chunk.map((event) => `${event.exact ?? event.json}\n`).join('')
    else if (format === 'csv') yield chunk.map((event) => toCsvRow(toEvent(event))).join('')
    else yield `${toLogsDataText(groupRecords(chunk.map(toEvent), { scope: { name: 'madsci-events' } }))}\n`
  }
}

function toCsvRow(event: Event): string {
  const cells = csvColumns.map((column) => {
    const value = event[column] as Value
    if (value === null) return ''
    const text =
      column === 'event_data' || column === 'source'
        ? column === 'source'
          ? toJson(value)
          : toExactJson(value)
        : String(value)
    return toCsvCell(text)
  })
  return `${cells.join(',')}\r\n`
}
