import { readFileSync } from 'node:fs'
import { parseKeyPairsIntoRecord } from '@opentelemetry/core'
import {
  boolCoreTag,
  CORE_SCHEMA,
  defineMappingTag,
  defineScalarTag,
  defineSequenceTag,
  floatCoreTag,
  intCoreTag,
  load,
  mapTag,
  NOT_RESOLVED,
  nullCoreTag,
  seqTag,
  strTag,
} from 'js-yaml'
import { diag } from './diagnostic.ts'

export type Attributes = { [key: string]: string | number | boolean | (string | number | boolean)[] }

export interface FileValue {
  text: string
  /** Where it stands: `logger_provider.processors[0].batch.schedule_delay`. */
  path: string
}

/** What a configuration file says, each part by the name of the variable that means the same. */
export interface ConfigFile {
  values: Map<string, FileValue>
  /** One for each processor of log records that sends them by OTLP/HTTP. */
  exporters: Map<string, FileValue>[]
  resource: Attributes
}

// Made once: a program has many clients, and hears of what is wrong once.
const known = new Map<string, ConfigFile | undefined>()

/**
 * OpenTelemetry's declarative configuration, file_format 1.0 and 1.1: the parts that concern log records. Undefined, and
 * told, when it cannot be read: then it is as if OTEL_CONFIG_FILE were not set.
 */
export function readConfigFile(path: string): ConfigFile | undefined {
  if (!known.has(path)) {
    let file: ConfigFile | undefined
    try {
      file = parseConfigFile(readFileSync(path, 'utf8'))
    } catch (error) {
      diag.error(`OTEL_CONFIG_FILE is not used, variables count: ${path}: ${(error as Error).message}`)
    }
    known.set(path, file)
  }
  return known.get(path)
}

type Node = { [key: string]: unknown }
/** By key: the variable of a plain value, or what reads a part; undefined is a part that is none of ours. */
type Table = { [key: string]: string | ((value: unknown, path: string) => void) | undefined }

const exporterTable = {
  endpoint: 'OTEL_EXPORTER_OTLP_LOGS_ENDPOINT',
  compression: 'OTEL_EXPORTER_OTLP_LOGS_COMPRESSION',
  timeout: 'OTEL_EXPORTER_OTLP_LOGS_TIMEOUT',
  encoding: 'OTEL_EXPORTER_OTLP_LOGS_PROTOCOL',
} as const
const tlsTable = {
  ca_file: 'OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE',
  key_file: 'OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY',
  cert_file: 'OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE',
} as const
const batchTable = {
  schedule_delay: 'OTEL_BLRP_SCHEDULE_DELAY',
  export_timeout: 'OTEL_BLRP_EXPORT_TIMEOUT',
  max_queue_size: 'OTEL_BLRP_MAX_QUEUE_SIZE',
  max_export_batch_size: 'OTEL_BLRP_MAX_EXPORT_BATCH_SIZE',
} as const
const limitTable = (name: string) => ({
  attribute_value_length_limit: `OTEL_${name}ATTRIBUTE_VALUE_LENGTH_LIMIT`,
  attribute_count_limit: `OTEL_${name}ATTRIBUTE_COUNT_LIMIT`,
})

/** Throws when it is no configuration file of a version that we know. */
export function parseConfigFile(text: string): ConfigFile {
  const root = parseYaml(text)
  const values = new Map<string, FileValue>()
  const exporters: Map<string, FileValue>[] = []
  const resource: Attributes = {}
  const unused: string[] = []

  function read(node: unknown, path: string, table: Table, target = values): void {
    if (node === null || node === undefined) return
    if (!isMap(node)) return void unused.push(path)
    for (const [key, value] of Object.entries(node)) {
      const at = path === '' ? key : `${path}.${key}`
      const isKnown = Object.hasOwn(table, key)
      if (!isKnown) unused.push(at)
      const entry = isKnown ? table[key] : undefined
      if (entry === undefined || value === null) continue
      if (typeof entry === 'function') entry(value, at)
      else if (typeof value === 'object') unused.push(at)
      else target.set(entry, { text: String(value), path: at })
    }
  }

  function readProcessors(nodes: unknown, path: string): void {
    if (!Array.isArray(nodes)) return void unused.push(path)
    const names = new Set<string>()
    for (const [i, node] of nodes.entries()) {
      const target = new Map<string, FileValue>()
      const exporter = (one: unknown, at: string) => {
        read(one, at, { otlp_http: none, console: none })
        if (!isMap(one)) return
        if ('console' in one) names.add('console')
        if (!('otlp_http' in one)) return
        names.add('otlp')
        readExporter(one.otlp_http, `${at}.otlp_http`, target)
        exporters.push(target)
      }
      const simple = (one: unknown, at: string) => {
        target.set(batchTable.schedule_delay, { text: '0', path: at })
        read(one, at, { exporter })
      }
      const batch = (one: unknown, at: string) => read(one, at, { ...batchTable, exporter }, target)
      read(node, `${path}[${i}]`, { batch, simple })
    }
    // None at all is meant; one of a kind that we cannot be is no reason to send nothing.
    if (names.size > 0) values.set('OTEL_LOGS_EXPORTER', { text: [...names].join(','), path })
    else if (nodes.length === 0) values.set('OTEL_LOGS_EXPORTER', { text: 'none', path })
  }

  function readExporter(node: unknown, path: string, target: Map<string, FileValue>): void {
    const headers: { [name: string]: string } = {}
    target.set(exporterTable.endpoint, { text: 'http://localhost:4318/v1/logs', path: `${path}.endpoint` })
    const table: Table = {
      ...exporterTable,
      tls: (one, at) => read(one, at, tlsTable, target),
      headers_list: (list) => {
        for (const [name, value] of Object.entries(parseKeyPairsIntoRecord(String(list))))
          headers[name] ??= value
      },
      headers: (list, at) => {
        for (const { name, value } of readPairs(list, at)) if (value !== null) headers[name] = String(value)
      },
    }
    read(node, path, table, target)
    const protocol = target.get(exporterTable.encoding)
    if (protocol) protocol.text = `http/${protocol.text}`
    const encoded = Object.entries(headers).map(
      ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
    )
    if (encoded.length > 0)
      target.set('OTEL_EXPORTER_OTLP_LOGS_HEADERS', { text: encoded.join(','), path: `${path}.headers` })
  }

  /** A list of `{name, value}`. */
  function readPairs(list: unknown, path: string): { name: string; value: unknown }[] {
    if (!Array.isArray(list)) unused.push(path)
    return (Array.isArray(list) ? list : []).filter((pair, i) => {
      const isPair = isMap(pair) && typeof pair.name === 'string'
      if (!isPair) unused.push(`${path}[${i}]`)
      return isPair
    })
  }

  read(root, '', {
    file_format: none,
    tracer_provider: none,
    meter_provider: none,
    propagator: none,
    distribution: none,
    'instrumentation/development': none,
    disabled: 'OTEL_SDK_DISABLED',
    log_level: (level, at) =>
      values.set('OTEL_LOG_LEVEL', {
        text: String(level)
          .replace(/\d$/, '')
          .replace(/^trace$/, 'verbose')
          .replace(/^fatal$/, 'error'),
        path: at,
      }),
    attribute_limits: (node, at) => read(node, at, limitTable('')),
    resource: (node, at) =>
      read(node, at, {
        attributes_list: (list) => {
          for (const [name, value] of Object.entries(parseKeyPairsIntoRecord(String(list))))
            resource[name] ??= value
        },
        attributes: (list, path) => {
          for (const { name, value } of readPairs(list, path)) {
            if (isAttribute(value)) resource[name] = value
            else unused.push(`${path}: ${name}`)
          }
        },
      }),
    logger_provider: (node, at) =>
      read(node, at, {
        processors: readProcessors,
        limits: (one, path) => read(one, path, limitTable('LOGRECORD_')),
      }),
  })
  if (typeof resource['service.name'] === 'string')
    values.set('OTEL_SERVICE_NAME', { text: resource['service.name'], path: 'resource' })
  if (unused.length > 0)
    diag.warn(
      `OTEL_CONFIG_FILE: these parts are unknown here, or not what they should be, and not used: ${unused.join(', ')}`,
    )
  return { values, exporters, resource }
}

const none = undefined

const isScalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value)
const isAttribute = (value: unknown): value is Attributes[string] =>
  isScalar(value) || (Array.isArray(value) && value.every(isScalar))

const isMap = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Of the core schema, with its references to variables replaced in values, not in keys. */
export function parseYaml(text: string): unknown {
  const root = load(text, { schema })
  const version = isMap(root) ? root.file_format : undefined
  if (!/^1(\.\d+)?(-|$)/.test(String(version)))
    throw new Error(`file_format must be 1.0 or 1.1, not '${version}'`)
  return root
}

/** A scalar that may refer to variables: whether it is a key or a value is known when its collection takes it. */
class Reference {
  readonly source: string
  readonly isPlain: boolean

  constructor(source: string, isPlain: boolean) {
    this.source = source
    this.isPlain = isPlain
  }
}

const plainKey = (key: unknown) => (key instanceof Reference ? key.source : key)
const toContent = (value: unknown) =>
  value instanceof Reference ? substitute(value.source, value.isPlain) : value

const schema = CORE_SCHEMA.withTags(
  defineScalarTag<unknown>(strTag.tagName, {
    resolve: (source) => (source.includes('$') ? new Reference(source, false) : source),
    identify: () => false,
  }),
  defineScalarTag<unknown>('tag:madsci-events,2026:reference', {
    implicit: true,
    resolve: (source) => (source.includes('$') ? new Reference(source, true) : NOT_RESOLVED),
    identify: () => false,
  }),
  defineSequenceTag(seqTag.tagName, {
    ...seqTag,
    addItem: (list: unknown[], item, index) => seqTag.addItem(list, toContent(item), index),
  }),
  defineMappingTag(mapTag.tagName, {
    ...mapTag,
    addPair: (map: Node, key, value) => mapTag.addPair(map, plainKey(key), toContent(value)),
    has: (map, key) => mapTag.has(map, plainKey(key)),
  }),
)

/** `${NAME}`, `${env:NAME}`, `${NAME:-default}`; `$$` is `$`. What stood there without quotes gets its type then. */
function substitute(text: string, isPlain: boolean): unknown {
  const replaced = text.replace(/\$\$|\$\{([^}]*)\}/g, (match, reference?: string) => {
    if (reference === undefined) return '$'
    const parts = /^(?:env:)?([A-Za-z_]\w*)(?::-(.*))?$/s.exec(reference)
    if (parts === null) throw new Error(`'${match}' names no variable`)
    const [, name, fallback = ''] = parts
    return process.env[name!] || fallback
  })
  if (!isPlain) return replaced
  // It is one value, whatever the variable holds.
  for (const { resolve, tagName } of [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag]) {
    const value = resolve(replaced, false, tagName)
    if (value !== NOT_RESOLVED) return value
  }
  return replaced
}
