import { isObject, parseJson } from '@madsci-events/sdk/event'
import type { PartialSuccess } from './reply.ts'
import { createReader, readFrame, readText, readVarint, skipField } from './wire.ts'

/** The partial_success of an answer in either encoding; nothing rejected for an empty one, and for what is no answer of OTLP. */
export function readPartialSuccess(bytes: Uint8Array, contentType: string | null): PartialSuccess {
  try {
    if (bytes.length === 0) return { rejectedCount: 0, message: '' }
    return contentType?.includes('json') ? fromJson(bytes) : fromProtobuf(bytes)
  } catch {
    return { rejectedCount: 0, message: '' }
  }
}

function fromJson(bytes: Uint8Array): PartialSuccess {
  const answer = parseJson(Buffer.from(bytes).toString('utf8'))
  const partial = isObject(answer) ? answer.partialSuccess : undefined
  if (!isObject(partial)) return { rejectedCount: 0, message: '' }
  const count = Number(partial.rejectedLogRecords ?? 0)
  return {
    rejectedCount: Number.isSafeInteger(count) && count > 0 ? count : 0,
    message: typeof partial.errorMessage === 'string' ? partial.errorMessage : '',
  }
}

function fromProtobuf(bytes: Uint8Array): PartialSuccess {
  const r = createReader(bytes, 100)
  const partial = { rejectedCount: 0, message: '' }
  while (r.pos < bytes.length) {
    const tag = readVarint(r, bytes.length)
    if (tag !== 0x0a) {
      skipField(r, tag, bytes.length, 0)
      continue
    }
    const end = readFrame(r, bytes.length)
    while (r.pos < end) {
      const inner = readVarint(r, end)
      if (inner === 0x08) partial.rejectedCount = readVarint(r, end)
      else if (inner === 0x12) partial.message = readText(r, end)
      else skipField(r, inner, end, 0)
    }
  }
  return partial
}

const maxAfterMs = 300_000

/** Retry-After as seconds or as a date → milliseconds from now, at most five minutes; undefined when there is none. Source: RFC 9110, 10.2.3. */
export function parseRetryAfter(text: string | null, nowMs: number = Date.now()): number | undefined {
  if (!text) return undefined
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxAfterMs)
}
