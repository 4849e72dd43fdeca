import type { Value } from '@madsci-events/sdk/event'
import type { FastifyRequest } from 'fastify'
import { toClient } from '../client.ts'
import type { Ticket } from '../ingest/gate.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { boundJson, parseBytes } from '../ingest/json-body.ts'
import { readBody } from '../otlp/body.ts'
import { maxSelectorValues, tooManyValues } from '../store/selector-limit.ts'

export interface BodyOptions {
  ingest: Pick<Ingest, 'enter'>
  maxBodyBytes: number
}

// Of what is no event: a selector, a list of ids, a rule.
const maxCommandBytes = 8 * 1024 * 1024
const maxCommandValues = 500_000

/**
 * Reads a JSON body that holds no event, within the gate; the ticket is held until `use` has settled. 8 MiB and 500,000
 * values at most, which are parsed in some tens of milliseconds. Throws EVT_TOO_LARGE, and what parseBytes throws.
 */
export function withBody<T>(
  request: FastifyRequest,
  options: BodyOptions,
  use: (body: Value) => Promise<T>,
): Promise<T> {
  return withBounded(request, options, (bytes) => boundJson(bytes, maxCommandValues), use)
}

/** The same for a body that is a selector. Throws EVT_SELECTOR for more values than one may have, before it is parsed. */
export function withSelectorBody<T>(
  request: FastifyRequest,
  options: BodyOptions,
  use: (body: Value) => Promise<T>,
): Promise<T> {
  return withBounded(request, options, (bytes) => boundSelector(bytes), use)
}

function withBounded<T>(
  request: FastifyRequest,
  { ingest, maxBodyBytes }: BodyOptions,
  bound: (bytes: Buffer) => void,
  use: (body: Value) => Promise<T>,
): Promise<T> {
  const limited = { ingest, maxBodyBytes: Math.min(maxBodyBytes, maxCommandBytes) }
  return withBytes(request, limited, (bytes, contentType) => {
    bound(bytes)
    return use(parseBytes(bytes, contentType))
  })
}

// What is counted ahead of parsing has an empty list or object twice.
const maxCountedValues = 2 * maxSelectorValues + 1

function boundSelector(bytes: Buffer): void {
  boundJson(bytes, maxCountedValues, tooManyValues)
}

/** The same for the bytes as they came, in their turn. */
export function withBytes<T>(
  request: FastifyRequest,
  options: BodyOptions,
  use: (bytes: Buffer, contentType: string | undefined) => Promise<T>,
): Promise<T> {
  return withPlainBytes(request, options, async (bytes, ticket) => {
    const turn = bytes.length > smallBytes ? ticket.turn() : undefined
    if (turn) await turn
    return use(bytes, request.headers['content-type'])
  })
}

/** The same at once, and with the ticket. What is compressed stays so. */
export async function withPlainBytes<T>(
  request: FastifyRequest,
  { ingest, maxBodyBytes }: BodyOptions,
  use: (bytes: Buffer, ticket: Ticket) => Promise<T>,
): Promise<T> {
  const announcedBytes = Number(request.headers['content-length'] ?? Number.NaN)
  const ticket = ingest.enter(announcedBytes || 0, toClient(request.ip))
  try {
    const bytes = await readBody(request.raw, {
      encoding: undefined,
      announcedBytes,
      maxBodyBytes,
      onGrow: (more) => ticket.grow(more),
    })
    return await use(bytes, ticket)
  } finally {
    ticket.release()
  }
}

// A body that is no larger becomes little beside a heap, whatever it holds.
const smallBytes = 64 * 1024

/** Where a body may be left out. */
export const hasBody = (headers: { [name: string]: unknown }) =>
  Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
