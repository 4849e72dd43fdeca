import { ExportResultCode } from '@opentelemetry/core'
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs'
import type { DestinationStats } from './destination.ts'
import { createContextCache } from './otlp/context.ts'
import { encodeRecord } from './otlp/encode.ts'
import { createWriter } from './otlp/writer.ts'
import { createDelivery } from './pipeline.ts'
import { countOf } from './plural.ts'
import { foreignToProcessor, type ProcessorOptions, toEventRecord, toIdAttributes } from './processor.ts'
import { readSettings } from './setting.ts'
import type { Stats } from './tally.ts'

export interface EventExporter extends LogRecordExporter {
  /** A snapshot of the counters; `emitted` counts the records that came by. */
  readonly stats: Stats
  /** The same for each destination, the first one included. */
  readonly destinations: DestinationStats[]
}

/**
 * An exporter for an OpenTelemetry SDK that a program already has, behind the processor of its choice.
 *
 *     new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter: createEventExporter({ url }) })] })
 *
 * As `createEventProcessor`, but later: records that a processor in front of it has dropped, or had in its memory when
 * the program was killed, never come here. What comes is in the spool before `export` calls back.
 */
export function createEventExporter(options: ProcessorOptions = {}): EventExporter {
  const settings = readSettings(options, foreignToProcessor)
  const delivery = createDelivery(settings)
  const { tally, sender } = delivery
  const ids = toIdAttributes(settings.source)
  const writer = createWriter()
  const contextOf = createContextCache()

  function take(record: ReadableLogRecord): boolean {
    tally.stats.emitted++
    try {
      if (sender === undefined) tally.drop('disabled', 1, 'switched off')
      else return sender.send(encodeRecord(writer, toEventRecord(record, { ids, tally }), contextOf(record)))
    } catch (error) {
      tally.drop('failed', 1, `a record could not be read: ${error}`)
    }
    return false
  }

  return {
    get stats() {
      return structuredClone(tally.stats)
    },
    get destinations() {
      return delivery.destinations
    },
    export(records, callback) {
      const refused = records.filter((record) => !take(record)).length
      if (refused === 0 || sender === undefined) callback({ code: ExportResultCode.SUCCESS })
      else
        callback({
          code: ExportResultCode.FAILED,
          error: new Error(`${countOf(refused, 'record was', 'records were')} not taken`),
        })
    },
    async forceFlush() {
      await sender?.flush()
    },
    async shutdown() {
      delivery.forget()
      await sender?.close()
    },
  }
}
