import { types } from 'node:util'

/*
 * What a value is, also of another realm: programs that run in a `vm` (Jest, Vitest's vm pools) hand us errors, maps and
 * bytes whose constructors are not ours, so that `instanceof` does not know them. Each is total.
 */

export const { isDate, isMap, isSet, isRegExp, isUint8Array, isAnyArrayBuffer, isArrayBufferView } = types
export const isDataView: (value: unknown) => value is DataView = types.isDataView
/** A Number, String or Boolean object. */
export const isBoxed = (value: object): boolean =>
  types.isNumberObject(value) || types.isStringObject(value) || types.isBooleanObject(value)

/** A proxy that is revoked throws even at this question, and counts as none. */
export function isError(value: unknown): value is Error {
  try {
    return types.isNativeError(value) || value instanceof Error || isForeignException(value)
  } catch {
    return false
  }
}

/** A DOMException, such as that of an AbortSignal, is no native error; nor is what inherits from one of another realm. */
function isForeignException(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Object.prototype.toString.call(value) === '[object DOMException]') return true
  for (
    let at = Object.getPrototypeOf(value) as object | null, depth = 0;
    at !== null && depth < 20;
    depth++
  ) {
    if (types.isNativeError(at) || isErrorPrototype(at)) return true
    at = Object.getPrototypeOf(at) as object | null
  }
  return false
}

// Error.prototype of whichever realm: nothing else has these of its own.
const isErrorPrototype = (value: object): boolean =>
  Object.hasOwn(value, 'toString') &&
  Object.hasOwn(value, 'message') &&
  Object.hasOwn(value, 'name') &&
  (value as { name: unknown }).name === 'Error' &&
  (value as { message: unknown }).message === ''
