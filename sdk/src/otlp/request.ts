import { varintBytes } from './writer.ts'

/** Records in a row that share resource and scope: their bytes as `Encoded` describes them. */
export interface Run {
  context: Uint8Array
  records: Uint8Array[]
  /** The sum of the records' bytes. */
  bytes: number
}

/** Runs → ExportLogsServiceRequest. Nothing is encoded again: it is lengths and copies. */
export function encodeRequest(runs: readonly Run[]): Buffer {
  const parts = runs.map(({ context, bytes }) => {
    const resourceBytes = readUInt32(context)
    const resource = context.subarray(4, 4 + resourceBytes)
    const scope = context.subarray(4 + resourceBytes)
    const scopeLogsBytes = scope.length + bytes
    const resourceLogsBytes = resource.length + 1 + varintBytes(scopeLogsBytes) + scopeLogsBytes
    return { resource, scope, scopeLogsBytes, resourceLogsBytes }
  })
  let total = 0
  for (const { resourceLogsBytes } of parts) total += 1 + varintBytes(resourceLogsBytes) + resourceLogsBytes
  const buffer = Buffer.allocUnsafe(total)
  let pos = 0
  const length = (fieldTag: number, bytes: number) => {
    buffer[pos++] = fieldTag
    let rest = bytes
    for (; rest >= 128; rest = Math.floor(rest / 128)) buffer[pos++] = (rest % 128) | 128
    buffer[pos++] = rest
  }
  const put = (bytes: Uint8Array) => {
    buffer.set(bytes, pos)
    pos += bytes.length
  }
  parts.forEach(({ resource, scope, scopeLogsBytes, resourceLogsBytes }, i) => {
    length(0x0a, resourceLogsBytes)
    put(resource)
    length(0x12, scopeLogsBytes)
    put(scope)
    for (const record of runs[i]!.records) put(record)
  })
  return buffer
}

function readUInt32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

/** The records from `from` to `to`, counted through all runs. */
export function sliceRuns(runs: readonly Run[], from: number, to: number): Run[] {
  const sliced: Run[] = []
  let first = 0
  for (const { context, records } of runs) {
    const part = records.slice(Math.max(from - first, 0), Math.max(to - first, 0))
    first += records.length
    if (part.length > 0)
      sliced.push({ context, records: part, bytes: part.reduce((sum, record) => sum + record.length, 0) })
  }
  return sliced
}
