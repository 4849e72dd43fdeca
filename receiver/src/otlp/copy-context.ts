import {
  type Otel,
  type RecordContext,
  type SourceKey,
  sourceKeys,
  type Value,
} from '@madsci-events/sdk/event'
import type { DocumentWriter } from '../document/document-writer.ts'

/** What the records of a scope share, as parts of documents. */
export interface CopyContext {
  source: Uint8Array | undefined
  otel: Uint8Array | undefined
  /** Bit n: sourceKeys[n] is among `source`. */
  knownSources: number
}

/** Undefined when a part cannot be written so: then no record of the scope can. */
export function prepareContext(writer: DocumentWriter, context: RecordContext): CopyContext | undefined {
  const otel: Otel = {}
  if (context.resource) otel.resource = context.resource
  if (context.resourceDroppedAttributesCount)
    otel.resource_dropped_attributes_count = context.resourceDroppedAttributesCount
  if (context.resourceSchemaUrl) otel.resource_schema_url = context.resourceSchemaUrl
  if (context.scope) otel.scope = context.scope
  if (context.otherSource) otel.source = context.otherSource
  const prepared: CopyContext = { source: undefined, otel: undefined, knownSources: 0 }
  if (Object.keys(otel).length > 0) {
    prepared.otel = writer.prepare(otel as { [key: string]: Value })
    if (!prepared.otel) return undefined
  }
  const ids = Object.keys(context.source) as SourceKey[]
  if (ids.length > 0) {
    prepared.source = writer.prepare(context.source as { [key: string]: Value })
    if (!prepared.source) return undefined
    for (const id of ids) prepared.knownSources |= 1 << sourceKeys.indexOf(id)
  }
  return prepared
}
