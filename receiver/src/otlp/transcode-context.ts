import {
  type Otel,
  type RecordContext,
  type SourceKey,
  sourceKeys,
  type Value,
} from '@madsci-events/sdk/event'
import type { DocumentWriter } from '../document/document-writer.ts'

/** What the records of a scope share, as parts of documents; undefined for those that are empty. */
export interface ContextParts extends ResourceParts {
  scope: Uint8Array | undefined
  /** Places of whole doubles in resource and scope. */
  doubles: readonly string[] | undefined
}

/** What those of a resource share: it may be large, and have many scopes. */
export interface ResourceParts {
  source: Uint8Array | undefined
  /** Bit n: sourceKeys[n] is among `source`. */
  knownSources: number
  /** Members of `otel` before the scope's and behind it. */
  otel: Uint8Array | undefined
  otherSource: Uint8Array | undefined
}

/** Undefined when a part cannot be written so: then no record of the resource can. */
export function prepareResource(writer: DocumentWriter, context: RecordContext): ResourceParts | undefined {
  const otel: Otel = {}
  if (context.resource) otel.resource = context.resource
  if (context.resourceDroppedAttributesCount)
    otel.resource_dropped_attributes_count = context.resourceDroppedAttributesCount
  if (context.resourceSchemaUrl) otel.resource_schema_url = context.resourceSchemaUrl
  const parts = [
    prepare(writer, context.source),
    prepare(writer, otel),
    prepare(writer, context.otherSource && { source: context.otherSource }),
  ]
  if (parts.includes(impossible)) return undefined
  const [source, otelPart, otherSource] = parts.map((part) => (part === nothing ? undefined : part))
  let knownSources = 0
  for (const id of Object.keys(context.source)) knownSources |= 1 << sourceKeys.indexOf(id as SourceKey)
  return { source, knownSources, otel: otelPart, otherSource }
}

/** The same for a scope of that resource. */
export function prepareScope(
  writer: DocumentWriter,
  resource: ResourceParts,
  { scope, doubles }: RecordContext,
): ContextParts | undefined {
  const part = prepare(writer, scope && { scope })
  return part === impossible
    ? undefined
    : { ...resource, scope: part === nothing ? undefined : part, doubles }
}

const nothing = new Uint8Array(0)
const impossible = new Uint8Array(0)

function prepare(writer: DocumentWriter, object: object | undefined): Uint8Array {
  if (object === undefined || Object.keys(object).length === 0) return nothing
  return writer.prepare(object as { [key: string]: Value }) ?? impossible
}
