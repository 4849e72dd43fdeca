import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { fromDocument } from './event/document.ts'
import { type ErrorCode, EventError, errorTable } from './event/error.ts'
import { type Event, isObject, type Value } from './event/event.ts'
import { parseJson, toJson } from './event/json.ts'
import { type EventLevel, type LevelName, parseLevel } from './event/level.ts'
import { isDate } from './realm.ts'
import type { Settings } from './setting.ts'
import { trimEndSlashes } from './slash.ts'
import {
  toUtilizationPath,
  type UtilizationAnswer,
  type UtilizationOptions,
  type UtilizationReport,
} from './utilization.ts'
import { toValue } from './value.ts'
import { version } from './version.ts'

export interface GetEventsOptions {
  /** At most so many; 0 is all of them. The receiver's default is 100. */
  number?: number | undefined
  offset?: number | undefined
  /** Events of this level and above. */
  level?: EventLevel | LevelName | undefined
  startTime?: string | Date | undefined
  endTime?: string | Date | undefined
  includeArchived?: boolean | undefined
}

/** The questions that a receiver answers. Every failure is an EventError with the code of the receiver's answer. */
export interface RestClient {
  getEvents(options?: GetEventsOptions): Promise<Event[]>
  getEvent(id: string): Promise<Event>
  queryEvents(selector: object): Promise<Event[]>
  /** Of these ids, the ones that are stored (POST /events/receipts). */
  findStored(ids: string[]): Promise<Set<string>>
  /** A report of utilization: `timeline`, `summary`, `waits`, `compare`, or the original's `sessions`, `periods`, `user`. */
  getUtilization(
    report: UtilizationReport,
    options: UtilizationOptions & { format: 'csv' | 'ndjson' },
  ): Promise<string>
  getUtilization<Report extends UtilizationReport>(
    report: Report,
    options?: UtilizationOptions,
  ): Promise<UtilizationAnswer<Report>>
}

export function createRestClient(settings: Settings): RestClient {
  const base = trimEndSlashes(settings.restUrl)

  async function askText(path: string, body?: string): Promise<string> {
    let answer: Answer
    try {
      answer = await request(base + path, settings, body)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message || `${(cause as { code?: unknown }).code}` : cause
      throw new EventError('EVT_UNREACHABLE', `${base} cannot be reached: ${reason}`, { cause })
    }
    if (answer.status < 200 || answer.status > 299) throw fromAnswer(answer)
    return answer.text
  }

  async function ask(path: string, body?: string): Promise<Value> {
    return parseAnswer(await askText(path, body), path)
  }

  function parseAnswer(text: string, path: string): Value {
    try {
      return parseJson(text)
    } catch (cause) {
      throw new EventError('EVT_JSON', `${base}${path} answered something that is no JSON`, { cause })
    }
  }

  /** Something else answers at this URL, or something between us and the receiver. */
  const foreign = (path: string, what: string) =>
    new EventError('EVT_JSON', `${base}${path} answered no ${what}: is that the address of a receiver?`)

  function toEvents(answer: Value, path: string): Event[] {
    const documents = isObject(answer) ? Object.values(answer) : [undefined]
    return documents.map((document) => {
      if (!isEventDocument(document)) throw foreign(path, 'events')
      return fromDocument(document)
    })
  }

  return {
    async getEvents(options = {}) {
      const query = new URLSearchParams()
      const put = (name: string, value: string | number | boolean | Date | undefined) => {
        if (value !== undefined) query.set(name, isDate(value) ? value.toISOString() : String(value))
      }
      put('number', options.number)
      put('offset', options.offset)
      put('level', parseLevel(options.level) ?? options.level)
      put('start_time', options.startTime)
      put('end_time', options.endTime)
      put('include_archived', options.includeArchived)
      const path = query.size > 0 ? `/events?${query}` : '/events'
      const events = toEvents(await ask(path), path)
      // The answer is an object keyed by id, and JavaScript moves keys that look like integers to its front.
      return events.sort((a, b) =>
        a.event_timestamp < b.event_timestamp ? 1 : a.event_timestamp > b.event_timestamp ? -1 : 0,
      )
    },
    async getEvent(id) {
      const path = `/event/${encodeURIComponent(id)}`
      const document = await ask(path)
      if (!isEventDocument(document)) throw foreign(path, 'event')
      return fromDocument(document)
    },
    async queryEvents(selector) {
      const onAlter = (why: string) => {
        throw new EventError('EVT_SELECTOR', `The selector cannot be sent: ${why}`)
      }
      return toEvents(await ask('/events/query', toJson(toValue(selector, { onAlter }))), '/events/query')
    },
    async findStored(ids) {
      const answer = await ask('/events/receipts', toJson({ event_ids: ids }))
      const stored = isObject(answer) ? answer.stored : undefined
      if (!isObject(stored)) throw foreign('/events/receipts', 'receipts')
      return new Set(Object.keys(stored))
    },
    async getUtilization(report: UtilizationReport, options: UtilizationOptions = {}): Promise<never> {
      const path = toUtilizationPath(report, options)
      const isText = options.format === 'csv' || options.format === 'ndjson'
      const text = await askText(path)
      // MADSci's own reports answer 200 with {"error": …}, whatever the form.
      const answer = isText && !text.startsWith('{"error":') ? text : parseAnswer(text, path)
      if (isObject(answer) && typeof answer.error === 'string')
        throw new EventError('EVT_REFUSED', answer.error)
      if (!isText && !isObject(answer)) throw foreign(path, 'report')
      return answer as never
    },
  }
}

const isEventDocument = (document: Value | undefined): document is { [key: string]: Value } =>
  isObject(document) && typeof (document.event_id ?? document._id) === 'string'

interface Answer {
  status: number
  text: string
  retryAfter: string | undefined
}

// A longer one would be no string any more.
const maxAnswerBytes = 256 * 1024 * 1024

// Not fetch: it cannot be told of the certificates that OTEL_EXPORTER_OTLP_CERTIFICATE and its like name.
function request(url: string, settings: Settings, body: string | undefined): Promise<Answer> {
  const isSecure = url.startsWith('https:')
  const headers: { [name: string]: string } = {
    'user-agent': `madsci-events-sdk/${version}`,
    ...settings.headers,
  }
  if (body !== undefined) headers['content-type'] = 'application/json'
  return new Promise((resolve, reject) => {
    const call = (isSecure ? httpsRequest : httpRequest)(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      signal: AbortSignal.timeout(settings.timeoutMs),
      ...(isSecure && settings.tls),
    })
    call.on('error', reject)
    let hasResponse = false
    // Of an answer that switches protocols, Node tells nothing else.
    call.on('close', () => {
      if (!hasResponse) reject(new Error('the connection was closed without an answer'))
    })
    call.on('response', (response) => {
      hasResponse = true
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxAnswerBytes)
          response.destroy(
            new Error(`the answer has more than ${maxAnswerBytes} bytes: ask for fewer events`),
          )
        else chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, text: Buffer.concat(chunks).toString(), retryAfter: headers['retry-after'] })
      })
    })
    call.end(body)
  })
}

const codes: { [status: number]: ErrorCode } = {
  400: 'EVT_BODY',
  404: 'EVT_NOT_FOUND',
  405: 'EVT_METHOD',
  413: 'EVT_TOO_LARGE',
  415: 'EVT_CONTENT_TYPE',
  422: 'EVT_INVALID',
  429: 'EVT_OVERLOAD',
  502: 'EVT_UNREACHABLE',
  503: 'EVT_STORE_UNAVAILABLE',
  504: 'EVT_UNREACHABLE',
}

function fromAnswer({ status, text, retryAfter }: Answer): EventError {
  const code = codes[status] ?? (status < 500 ? 'EVT_REFUSED' : 'EVT_INTERNAL')
  let detail: unknown
  try {
    detail = (JSON.parse(text) as { detail?: unknown }).detail
  } catch {
    detail = text === '' ? undefined : text.slice(0, 1000)
  }
  const reason =
    detail === undefined
      ? errorTable[code].message
      : typeof detail === 'string'
        ? detail
        : JSON.stringify(detail)
  const retryAfterSeconds = Number.parseInt(retryAfter ?? '1', 10) || 1
  return new EventError(code, `${status}: ${reason}`, { detail, retryAfterSeconds })
}
