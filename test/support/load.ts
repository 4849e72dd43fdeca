import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'

/** One HTTP/1.1 request, head and body, ready to be written. */
export type PreparedRequest = Uint8Array

export interface PrepareOptions {
  path: string
  contentType: string
  headers?: { [name: string]: string }
}

export function prepareRequest(body: Uint8Array | string, options: PrepareOptions): PreparedRequest {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
  const head =
    `POST ${options.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${options.contentType}\r\n` +
    `${headers.join('')}content-length: ${bytes.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes])
}

export function prepareGet(path: string): PreparedRequest {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`, 'latin1')
}

export interface LoadOptions {
  port: number
  requests: readonly PreparedRequest[]
  /** Each has one request under way. */
  connections: number
  /** Answers that are sent again after their Retry-After, at most this many times in a row; 0 by default. */
  retryLimit?: number
  /** Waits so long between the answer and the next request of a connection. */
  pauseMs?: number
}

export interface LoadResult {
  elapsedMs: number
  /** Answers by status; retried ones count each time. */
  statuses: Map<number, number>
  /** Of each request, in the order of their end. */
  latenciesMs: number[]
}

/**
 * Sends every request once, on raw sockets: the load generator shares two cores with what it measures, and an HTTP client
 * costs more than the receiver. Rejects when a connection breaks.
 */
export async function sendAll(options: LoadOptions): Promise<LoadResult> {
  const { requests, retryLimit = 0, pauseMs = 0 } = options
  const statuses = new Map<number, number>()
  const latenciesMs: number[] = []
  let next = 0
  const startedMs = performance.now()

  async function runConnection(): Promise<void> {
    let connection = await openConnection(options.port)
    for (let index = next++; index < requests.length; index = next++) {
      for (let attempt = 0; ; attempt++) {
        const sentMs = performance.now()
        const answer = await connection.send(requests[index]!)
        latenciesMs.push(performance.now() - sentMs)
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        if (answer.closes) {
          connection.close()
          connection = await openConnection(options.port)
        }
        if ((answer.status !== 429 && answer.status !== 503) || attempt >= retryLimit) break
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    connection.close()
  }
  const count = Math.min(options.connections, requests.length)
  await Promise.all(Array.from({ length: count }, runConnection))
  return { elapsedMs: performance.now() - startedMs, statuses, latenciesMs }
}

export interface Connection {
  /** Settles when the answer has come whole. Rejects when the connection breaks or is closed meanwhile. */
  send(request: PreparedRequest): Promise<{ status: number; closes: boolean }>
  close(): void
}

const answerBytes = 64 * 1024

/** One reused buffer and no stream of Node between: the answers of both sides are only counted, never kept. */
export async function openConnection(port: number): Promise<Connection> {
  let settle:
    | { resolve: (answer: { status: number; closes: boolean }) => void; reject: (error: Error) => void }
    | undefined
  // Of the answer that is arriving: its head, and how many bytes are still to come, undefined until the head is there.
  let text = ''
  let headText = ''
  let missing: number | undefined
  let end = ''

  function take(count: number, buffer: Uint8Array): boolean {
    const bytes = (buffer as Buffer).subarray(0, count)
    if (missing === undefined) {
      text += bytes.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      if (head < 0) return true
      headText = text.slice(0, head)
      const length = /\r\ncontent-length: *(\d+)/i.exec(headText)
      if (length) missing = Number(length[1]) - (text.length - head - 4)
      else missing = /\r\ntransfer-encoding: *chunked/i.test(headText) ? Number.POSITIVE_INFINITY : 0
    } else missing -= count
    if (missing === Number.POSITIVE_INFINITY) {
      end = (end + bytes.toString('latin1', Math.max(0, count - 7))).slice(-7)
      if (!end.endsWith('0\r\n\r\n')) return true
    } else if (missing > 0) return true
    const done = settle
    const status = Number(headText.slice(9, 12))
    const closes = /\r\nconnection: *close/i.test(headText)
    settle = undefined
    text = end = ''
    missing = undefined
    done?.resolve({ status, closes })
    return true
  }

  const socket: Socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: { buffer: Buffer.allocUnsafe(answerBytes), callback: take },
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const fail = (error?: Error) => settle?.reject(error ?? new Error('the connection was closed'))
  socket.on('error', fail)
  socket.on('close', () => fail())
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject }
        socket.write(request)
      }),
    close: () => {
      settle = undefined
      socket.destroy()
    },
  }
}

/** Processor time that a process and its threads used so far, ms; undefined where there is no /proc. */
export function cpuMsOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return undefined
  }
}

/** Resident memory of a process, bytes; undefined where there is no /proc. */
export function residentBytesOf(pid: number): number | undefined {
  try {
    const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return match ? Number(match[1]) * 1024 : undefined
  } catch {
    return undefined
  }
}

/** The value below which this share of the list lies. */
export function percentile(list: readonly number[], share: number): number {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
