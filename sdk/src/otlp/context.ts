import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { type EncodedContext, encodeContext } from './encode.ts'
import { createWriter } from './writer.ts'

type Scope = ReadableLogRecord['instrumentationScope']

/** Resource and scope of a record, encoded once for each pair of objects. */
export function createContextCache(): (record: ReadableLogRecord) => EncodedContext {
  const writer = createWriter()
  let byResource = new WeakMap<object, WeakMap<object, EncodedContext>>()
  return ({ resource, instrumentationScope: scope }) => {
    // Detectors may still be finding out attributes: what is encoded now would be too little later.
    if (resource.asyncAttributesPending) {
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
      const settled = Object.entries(resource.attributes).filter(([, value]) => !isPromise(value))
      return encodeContext(writer, {
        attributes: Object.fromEntries(settled),
        schemaUrl: resource.schemaUrl,
        scope: { name, version, schemaUrl, attributes: rest.attributes as never },
      })
    }
  }
}

function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function'
}
