/** Every way a call can end badly: the HTTP status, whether a retry can help, and the standing message. */
export const errorTable = {
  EVT_INVALID: {
    status: 422,
    retry: false,
    message: 'The request does not have the form that this route takes',
  },
  EVT_JSON: { status: 422, retry: false, message: 'JSON decode error' },
  EVT_BODY: { status: 400, retry: false, message: 'There was an error parsing the body' },
  EVT_OTLP: { status: 400, retry: false, message: 'The body is no OTLP ExportLogsServiceRequest' },
  EVT_SELECTOR: { status: 422, retry: false, message: 'The selector is not accepted' },
  EVT_QUERY_TIMEOUT: { status: 400, retry: false, message: 'The query took longer than its time limit' },
  EVT_QUERY_BUSY: {
    status: 503,
    retry: true,
    message: 'Other queries are under way, and this one had no turn within its time limit',
  },
  EVT_CLIENT_GONE: {
    status: 400,
    retry: false,
    message: 'The client closed its connection before the answer',
  },
  EVT_FORBIDDEN: { status: 403, retry: false, message: 'The request comes from a page of another site' },
  EVT_NOT_FOUND: { status: 404, retry: false, message: 'Not Found' },
  EVT_METHOD: { status: 405, retry: false, message: 'Method Not Allowed' },
  EVT_TOO_LARGE: { status: 413, retry: false, message: 'The body is larger than the limit' },
  EVT_CONTENT_TYPE: { status: 415, retry: false, message: 'The content type is not supported' },
  EVT_ENCODING: { status: 415, retry: false, message: 'The content encoding is not supported' },
  EVT_RATE_LIMIT: { status: 429, retry: true, message: 'Rate limit exceeded' },
  EVT_OVERLOAD: { status: 429, retry: true, message: 'Too many bytes in flight' },
  EVT_STORE_UNAVAILABLE: { status: 503, retry: true, message: 'The store cannot take events now' },
  EVT_CLOSING: { status: 503, retry: true, message: 'The receiver is shutting down' },
  EVT_STORE_LOCKED: { status: 503, retry: false, message: 'Another process owns the database file' },
  EVT_SCHEMA_VERSION: {
    status: 503,
    retry: false,
    message: 'The database has a schema version that this release does not know',
  },
  EVT_UNREACHABLE: { status: 503, retry: true, message: 'The receiver cannot be reached' },
  EVT_REFUSED: { status: 422, retry: false, message: 'The receiver refused events' },
  EVT_BACKUP: { status: 500, retry: false, message: 'Failed to create backup' },
  EVT_CONFIG: { status: 500, retry: false, message: 'The settings are wrong' },
  EVT_INTERNAL: { status: 500, retry: false, message: 'Internal Server Error' },
} as const
export type ErrorCode = keyof typeof errorTable

export interface EventErrorOptions {
  cause?: unknown
  /** What the REST answer carries as `detail`; the message if not given. */
  detail?: unknown
  retryAfterSeconds?: number
}

const brand = Symbol.for('@madsci-events/sdk EventError')

/** What ends a call. `status` and `retry` come from the table, so a door only has to write them down. */
export class EventError extends Error {
  get [brand](): true {
    return true
  }
  readonly code: ErrorCode
  readonly status: number
  readonly retry: boolean
  readonly detail: unknown
  readonly retryAfterSeconds: number

  constructor(code: ErrorCode, message?: string, options: EventErrorOptions = {}) {
    super(
      message ?? errorTable[code].message,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.name = 'EventError'
    this.code = code
    this.status = errorTable[code].status
    this.retry = errorTable[code].retry
    this.detail = options.detail ?? this.message
    this.retryAfterSeconds = options.retryAfterSeconds ?? 1
  }
}

// Also of another copy of this package: a program may have it as ESM and as CommonJS.
Object.defineProperty(EventError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    if (this !== EventError) return Function.prototype[Symbol.hasInstance].call(this as never, value)
    return typeof value === 'object' && value !== null && brand in value
  },
})
