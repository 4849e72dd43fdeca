import { type Context, createContextKey, type Logger, type SpanContext } from '@opentelemetry/api'
import {
  defaultResource,
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import {
  ConsoleLogRecordExporter,
  LoggerProvider,
  type LogRecordProcessor,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs'
import { type Source, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'
import { createOtlpExporter, wrapExporter } from './exporter.ts'
import { createMemoryQueue } from './queue.ts'
import { createSender, type Sender } from './sender.ts'
import type { Settings } from './setting.ts'
import type { Tally } from './tally.ts'
import { version } from './version.ts'

/** A context's trace ids when they did not come from a span; unlike a span's, one of them may be alone. */
export const traceKey = createContextKey('madsci-events trace')

export interface Pipeline {
  logger: Logger
  /** Undefined when events go nowhere: OTEL_SDK_DISABLED, OTEL_LOGS_EXPORTER=none. */
  sender: Sender | undefined
  /** The ids that the resource carries. */
  processIds: Source
}

/** The OpenTelemetry logger whose records reach the receiver. */
export function createPipeline(settings: Settings, tally: Tally): Pipeline {
  const sender = createDestination(settings, tally)
  const processors: LogRecordProcessor[] = sender ? [createProcessor(sender)] : []
  if (settings.destinations.length > 1)
    processors.push(new SimpleLogRecordProcessor({ exporter: new ConsoleLogRecordExporter() }))
  const resource = createResource(settings, tally)
  const provider = new LoggerProvider({
    resource,
    processors,
    logRecordLimits: { attributeCountLimit: settings.attributeCountLimit },
  })
  const processIds: Source = {}
  for (const key of sourceKeys) {
    const id = resource.attributes[`madsci.source.${key}`]
    if (typeof id === 'string') processIds[key] = id
  }
  return { logger: provider.getLogger('@madsci-events/sdk', version), sender, processIds }
}

/** Queue, sender and exporter, as the settings say; undefined when nothing is to be sent. */
export function createDestination(settings: Settings, tally: Tally): Sender | undefined {
  const [destination] = settings.destinations
  if (settings.disabled || destination === undefined) return undefined
  const exporter =
    destination === 'otlp'
      ? createOtlpExporter(settings)
      : wrapExporter(new ConsoleLogRecordExporter(), {
          read: () => ({ kind: 'delivered', rejected: 0, message: '' }),
          timeoutMs: settings.exportTimeoutMs,
          cut() {},
          close() {},
        })
  return createSender({
    exporter,
    tally,
    // A queue on disk would take this one's place.
    queue: createMemoryQueue({ maxCount: settings.maxQueueEvents, maxBytes: settings.maxQueueBytes }),
    scheduleDelayMs: settings.scheduleDelayMs,
    maxBatchEvents: settings.maxBatchEvents,
    flushTimeoutMs: settings.flushTimeoutMs,
  })
}

function createProcessor(sender: Sender): LogRecordProcessor {
  return {
    onEmit(record, context?: Context) {
      const trace = context?.getValue(traceKey) as SpanContext | undefined
      if (trace) record.spanContext = trace
      sender.send(record)
    },
    forceFlush: () => sender.flush(),
    shutdown: () => sender.close(),
  }
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
