import type { Attributes } from '@opentelemetry/api'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { type EncodedContext, encodeContext } from './encode.ts'
import { createWriter } from './writer.ts'

type Scope = ReadableLogRecord['instrumentationScope']

/** Resource and scope of a record, encoded once for each pair of objects. */
export function createContextCache(): (record: ReadableLogRecord) => EncodedContext {
  const writer = createWriter()
  let byResource = new WeakMap<object, WeakMap<object, EncodedContext>>()
  return ({ resource, instrumentationScope: scope }) => {
    // Detectors may still be finding out attributes: what is encoded now would be too little later. Nobody else may ask.
    if (resource.asyncAttributesPending) {
      void resource.waitForAsyncAttributes?.().catch(() => {})
      byResource = new WeakMap()
      return encode(scope)
    }
    let byScope = byResource.get(resource)
    if (byScope === undefined) {
      byScope = new WeakMap()
      byResource.set(resource, byScope)
    }
    let encoded = byScope.get(scope)
    if (encoded === undefined) {
      encoded = encode(scope)
      byScope.set(scope, encoded)
    }
    return encoded

    function encode({ name, version, schemaUrl, ...rest }: Scope & { attributes?: object }): EncodedContext {
      // Its `attributes` complain of each look at them until they have settled. Of the raw ones the first wins.
      const raw = resource.asyncAttributesPending
        ? resource.getRawAttributes().filter(([, value]) => !isPromise(value))
        : []
      return encodeContext(writer, {
        attributes: raw.length > 0 ? (Object.fromEntries(raw.reverse()) as Attributes) : resource.attributes,
        schemaUrl: resource.schemaUrl,
        scope: { name, version, schemaUrl, attributes: rest.attributes as never },
      })
    }
  }
}

function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function'
}
