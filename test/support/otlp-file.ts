interface LogsData {
  resourceLogs: { scopeLogs: { logRecords?: object[] }[] }[]
}

export interface FiledRecord {
  resource: object
  scope: object
  record: object
}
type Attributes = { attributes?: { key: string; value: { stringValue?: string } }[] }

/** The records of OTLP lines, as the Collector's file exporter writes them: each with its resource and scope, attributes by their keys. */
export function parseOtlpLines(text: string): FiledRecord[] {
  const lines = text.split('\n').filter(Boolean)
  return lines
    .flatMap((line) => (JSON.parse(line) as LogsData).resourceLogs)
    .flatMap(({ scopeLogs, ...resource }) =>
      scopeLogs.flatMap(({ logRecords = [], ...scope }) =>
        logRecords.map((record) => sorted({ resource, scope, record }) as FiledRecord),
      ),
    )
}

export function textOf(from: object, name: string): string | undefined {
  return (from as Attributes).attributes?.find(({ key }) => key === name)?.value.stringValue
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, member]) => {
    const inner = sorted(member)
    if (key !== 'attributes' || !Array.isArray(inner)) return [key, inner]
    return [key, inner.toSorted((a, b) => (a.key < b.key ? -1 : 1))]
  })
  // An empty resource or scope is as good as none.
  return Object.fromEntries(
    entries.filter(
      ([key, member]) => !['resource', 'scope'].includes(key as string) || JSON.stringify(member) !== '{}',
    ),
  )
}
