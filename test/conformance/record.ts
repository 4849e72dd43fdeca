import { requestType } from '../support/otlp-reference.ts'

/** Nanoseconds now, each later than the last: some backends refuse what is old. */
let last = 0n
export function now(): string {
  const nanos = BigInt(Date.now()) * 1_000_000n
  last = nanos > last ? nanos : last + 1000n
  return last.toString()
}

export const text = (stringValue: string) => ({ stringValue })
export const attribute = (key: string, value: unknown) => ({ key, value })

/** A record with the text as its body, of now. */
export const record = (body: string, fields: object = {}) => ({
  timeUnixNano: now(),
  body: text(body),
  ...fields,
})

// Loki, as docker/loki.yaml sets it, wants the label `lab`.
export const labels = [attribute('service.name', text('conformance')), attribute('lab', text('conformance'))]

export const resourceLogs = (logRecords: object[], fields: object = {}) => ({
  resource: { attributes: labels },
  scopeLogs: [{ scope: { name: 'conformance' }, logRecords }],
  ...fields,
})

export const toJson = (...all: object[]) => JSON.stringify({ resourceLogs: all })

/** By the reference encoder; times may be left out. */
export const toProtobuf = (...all: object[]): Uint8Array =>
  requestType.encode(requestType.fromObject({ resourceLogs: all })).finish()
