import {
  defaultResource,
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { ConsoleLogRecordExporter, type LogRecordExporter } from '@opentelemetry/sdk-logs'
import { type Source, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'
import { createOtlpExporter, wrapExporter } from './exporter.ts'
import { decodeRuns } from './otlp/decode.ts'
import { type EncodedContext, encodeContext } from './otlp/encode.ts'
import { createWriter } from './otlp/writer.ts'
import { startSelfMetrics } from './self-metric.ts'
import { createSender, type Sender } from './sender.ts'
import type { Settings } from './setting.ts'
import { createHomeFolder } from './spool/home.ts'
import { createSpool } from './spool/spool.ts'
import type { Losses, Tally } from './tally.ts'
import { version } from './version.ts'

/** Queue, sender and exporter, as the settings say; undefined when nothing is to be sent. */
export function createDestination(settings: Settings, tally: Tally, losses?: Losses): Sender | undefined {
  const [destination] = settings.destinations
  if (settings.disabled || destination === undefined) return undefined
  const console = settings.destinations.includes('console') ? new ConsoleLogRecordExporter() : undefined
  const exporter =
    destination === 'otlp'
      ? createOtlpExporter(settings)
      : wrapExporter(console!, {
          read: () => ({ kind: 'delivered', rejected: 0, message: '' }),
          timeoutMs: settings.exportTimeoutMs,
          cut() {},
          close() {},
        })
  // What goes to the console alone is not worth a disk.
  const isSpooled = settings.spool !== false && destination === 'otlp'
  const sender = createSender({
    exporter,
    tally,
    metrics: startSelfMetrics({
      stats: tally.stats,
      url: settings.logsUrl,
      maxQueueEvents: isSpooled ? undefined : settings.maxQueueEvents,
    }),
    onRefuse(runs, why) {
      for (const { attributes } of losses ? decodeRuns(runs) : [])
        losses!.note(String(attributes['log.record.uid']), why)
    },
    queue: createSpool({
      home: isSpooled
        ? createHomeFolder({
            spoolDir: settings.spoolDir,
            name: settings.spoolName,
            url: settings.logsUrl,
            isSynced: settings.spool === 'fsync',
          })
        : undefined,
      maxBytes: settings.maxSpoolBytes,
      maxAgeMs: settings.maxSpoolAgeMs,
      maxMemoryBytes: settings.maxQueueBytes,
      maxMemoryEvents: settings.maxQueueEvents,
      whenFull: settings.whenFull,
      tally,
    }),
    scheduleDelayMs: settings.scheduleDelayMs,
    maxBatchEvents: settings.maxBatchEvents,
    flushTimeoutMs: settings.flushTimeoutMs,
  })
  return console && destination === 'otlp' ? copyTo(console, sender) : sender
}

/** Shows each record on the console, too. */
function copyTo(console: LogRecordExporter, sender: Sender): Sender {
  return {
    ...sender,
    get isBusy() {
      return sender.isBusy
    },
    send(encoded) {
      const { buffer, start, end, context } = encoded
      const records = [buffer.subarray(start, end)]
      console.export(decodeRuns([{ context: context.bytes, records, bytes: end - start }]), () => {})
      return sender.send(encoded)
    },
  }
}

/** What the records of a client have in common, and the ids in it. */
export function createClientContext(
  settings: Settings,
  tally: Tally,
): { context: EncodedContext; processIds: Source } {
  const { attributes } = createResource(settings, tally)
  const processIds: Source = {}
  for (const key of sourceKeys) {
    const id = attributes[`madsci.source.${key}`]
    if (typeof id === 'string') processIds[key] = id
  }
  const scope = { name: '@madsci-events/sdk', version }
  return { context: encodeContext(createWriter(), { attributes, scope }), processIds }
}

/** Defaults, then OTEL_RESOURCE_ATTRIBUTES, then OTEL_SERVICE_NAME, then what the program says. */
function createResource(settings: Settings, tally: Tally): Resource {
  const fromEnv = detectResources({ detectors: [resourceAttributesEnvDetector] }).attributes
  const attributes: { [key: string]: string | number | boolean } = {}
  for (const [key, value] of Object.entries(fromEnv)) {
    const isWrong = key.startsWith('madsci.source.') && !isUlid(String(value))
    if (isWrong) tally.tell(key, `OTEL_RESOURCE_ATTRIBUTES: ${key} is no ULID, it is not used`)
    else attributes[key] = value as string
  }
  if (settings.serviceName) attributes['service.name'] = settings.serviceName
  for (const [key, id] of Object.entries(settings.source)) attributes[`madsci.source.${key}`] = id
  return defaultResource().merge(resourceFromAttributes({ ...attributes, ...settings.resource }))
}
