import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseJson, toJson, type Value } from '@madsci-events/sdk/event'

/** The logs endpoint under trial, and how to read back what it took. */
export interface Target {
  /** Of OTLP/HTTP, like http://127.0.0.1:4318/v1/logs. */
  url: string
  /** Of OTLP/gRPC, like http://127.0.0.1:4317; undefined: not tried. */
  grpcUrl: string | undefined
  /** The records, as text of any form, in which the marker stands; undefined: nothing is read back. */
  find: ((marker: string) => Promise<string[]>) | undefined
}

export interface Answer {
  status: number
  type: string
  headers: Headers
  bytes: Buffer
}

export async function post(
  url: string,
  body: string | Uint8Array,
  headers: { [name: string]: string } = {},
): Promise<Answer> {
  const answer = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    body: typeof body === 'string' ? body : Buffer.from(body),
    headers: { 'content-type': 'application/json', ...headers },
    signal: AbortSignal.timeout(30_000),
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const type = answer.headers.get('content-type')?.split(';')[0]?.trim() ?? ''
  return { status: answer.status, type, headers: answer.headers, bytes }
}

type Find = NonNullable<Target['find']>

/** How to read back: `madsci:URL`, `loki:URL`, `victorialogs:URL`, or `file:PATH` of the Collector's file exporter. */
export function toFind(reading: string): Find {
  const [kind = '', place = ''] = reading.split(/:(.*)/s)
  const find = finders[kind]
  if (!find || place === '')
    throw new Error(`'${reading}' must be madsci:, loki:, victorialogs: or file: and a place`)
  return find(place)
}

const finders: { [kind: string]: (place: string) => Find } = {
  madsci: (url) => async (marker) => {
    const answer = await fetch(new URL(`events?number=0&search=${marker}`, url))
    // With all digits of its integers.
    return Object.values(parseJson(await answer.text()) as { [id: string]: Value }).map(toJson)
  },
  loki: (url) => async (marker) => {
    const query = new URL('loki/api/v1/query_range', url)
    query.searchParams.set('query', `{lab="conformance"} |= "${marker}"`)
    query.searchParams.set('limit', '1000')
    const { data } = (await (await fetch(query)).json()) as {
      data: { result: { stream: object; values: [string, string][] }[] }
    }
    return data.result.flatMap(({ stream, values }) =>
      values.map(([time, line]) => JSON.stringify({ time, line, ...stream })),
    )
  },
  victorialogs: (url) => async (marker) => {
    const query = new URL('select/logsql/query', url)
    query.searchParams.set('query', marker)
    return linesOf(await (await fetch(query)).text())
  },
  file: (path) => async (marker) => {
    const requests = linesOf(await readFile(path, 'utf8').catch(() => '')) as string[]
    return requests
      .filter((line) => line.includes(marker))
      .flatMap((line) => {
        const { resourceLogs } = JSON.parse(line) as Request
        return resourceLogs.flatMap(({ scopeLogs, ...resource }) =>
          scopeLogs.flatMap(({ logRecords = [], ...scope }) =>
            logRecords.map((record) => JSON.stringify({ ...record, ...resource, ...scope })),
          ),
        )
      })
      .filter((record) => record.includes(marker))
  },
}

interface Request {
  resourceLogs: { scopeLogs: { logRecords?: object[] }[] }[]
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '')

/** Waits until so many are found, and a little longer for those that must not be. */
export async function findSettled(find: Find, marker: string, count: number): Promise<string[]> {
  const endMs = Date.now() + 8000
  let found = await find(marker)
  while (found.length < count && Date.now() < endMs) {
    await sleep(200)
    found = await find(marker)
  }
  await sleep(300)
  return find(marker)
}
