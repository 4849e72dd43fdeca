import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import { ConsoleLogRecordExporter, type LogRecordExporter } from '@opentelemetry/sdk-logs'
import type { Attributes } from './config-file.ts'
import { type Destination, type DestinationStats, joinDestinations } from './destination.ts'
import { type Source, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'
import { onExit } from './exit.ts'
import { createOtlpExporter, wrapExporter } from './exporter.ts'
import { decodeRuns } from './otlp/decode.ts'
import { type EncodedContext, encodeContext } from './otlp/encode.ts'
import { createWriter } from './otlp/writer.ts'
import { startSelfMetrics } from './self-metric.ts'
import { createSender, type Sender } from './sender.ts'
import type { Settings } from './setting.ts'
import { createHomeFolder } from './spool/home.ts'
import { createSpool } from './spool/spool.ts'
import { createTally, type Losses, type Tally } from './tally.ts'
import { version } from './version.ts'

/** Where records go, from a client or a processor. */
export interface Delivery {
  /** Of the first destination. */
  readonly tally: Tally
  /** To all destinations; undefined when nothing is to be sent. */
  readonly sender: Sender | undefined
  /** To the first alone. */
  readonly first: Sender | undefined
  /** Snapshots. */
  readonly destinations: DestinationStats[]
  /** The end of the process is none of its business any more. */
  forget(): void
}

export function createDelivery(settings: Settings, losses?: Losses): Delivery {
  const { others, exporters } = settings
  const create = (one: Settings) => {
    const { origin, pathname } = new URL(one.logsUrl)
    const url = origin + pathname
    return { url, tally: createTally(others.length > 0 ? url : '') }
  }
  const head = create(settings)
  const sender = createSenderOf(settings, { ...head, ...(losses && { losses }) })
  if (sender === undefined) return { tally: head.tally, sender, first: sender, destinations: [], forget() {} }
  const all: [Destination, ...Destination[]] = [{ ...head, sender }]
  for (const one of exporters.includes('otlp') ? others : []) {
    const part = create(one)
    all.push({ ...part, sender: createSenderOf({ ...one, exporters: ['otlp'] }, { ...part, isCopy: true })! })
  }
  const forgets = all.map((one) => onExit(one.sender, one.tally))
  return {
    tally: head.tally,
    sender: joinDestinations(all),
    first: sender,
    get destinations() {
      return all.map(({ url, tally }) => ({ url, stats: structuredClone(tally.stats) }))
    },
    forget: () => forgets.forEach((forget) => void forget()),
  }
}

interface SenderParts {
  url: string
  tally: Tally
  losses?: Losses
  isCopy?: boolean
}

/** Queue, sender and exporter, as the settings say. */
function createSenderOf(
  settings: Settings,
  { url, tally, losses, isCopy = false }: SenderParts,
): Sender | undefined {
  const [name] = settings.exporters
  if (settings.disabled || name === undefined) return undefined
  const console = settings.exporters.includes('console') ? new ConsoleLogRecordExporter() : undefined
  const exporter =
    name === 'otlp'
      ? createOtlpExporter(settings)
      : wrapExporter(console!, {
          read: () => ({ kind: 'delivered', rejected: 0, message: '' }),
          timeoutMs: settings.exportTimeoutMs,
          cut() {},
          close() {},
        })
  // What goes to the console alone is not worth a disk.
  const isSpooled = settings.spool !== false && name === 'otlp'
  const sender = createSender({
    url,
    exporter,
    tally,
    metrics: startSelfMetrics({
      stats: tally.stats,
      url: settings.logsUrl,
      isCopy,
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
            maxRefusedBytes: Math.floor(settings.maxSpoolBytes / 8),
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
  return console && name === 'otlp' ? copyTo(console, sender) : sender
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
  const attributes: Attributes = {}
  for (const [key, value] of Object.entries(settings.environment.resource)) {
    const isWrong = key.startsWith('madsci.source.') && !isUlid(String(value))
    if (isWrong) tally.tell(key, `resource attributes: ${key} is no ULID, it is not used`)
    else attributes[key] = value
  }
  if (settings.serviceName) attributes['service.name'] = settings.serviceName
  for (const [key, id] of Object.entries(settings.source)) attributes[`madsci.source.${key}`] = id
  return defaultResource().merge(resourceFromAttributes({ ...attributes, ...settings.resource }))
}
