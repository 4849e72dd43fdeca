import { isUtf8 } from 'node:buffer'
import {
  EventError,
  missing,
  parseJson,
  parsePythonJson,
  scanJson,
  type Value,
} from '@madsci-events/sdk/event'
import type { FastifyRequest } from 'fastify'
import type { Ticket } from '../ingest/gate.ts'
import type { Ingest } from '../ingest/ingest.ts'

const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i

export interface ReadJsonOptions {
  ticket: Ticket
  maxBodyBytes: number
}

/** Reads a JSON body within the gate; the ticket is held until `use` has settled. */
export async function withBody<T>(
  request: FastifyRequest,
  { ingest, maxBodyBytes }: { ingest: Pick<Ingest, 'enter'>; maxBodyBytes: number },
  use: (body: Value) => Promise<T>,
): Promise<T> {
  const ticket = ingest.enter(Number(request.headers['content-length'] ?? 0))
  try {
    const bytes = await readBytes(request, { ticket, maxBodyBytes })
    const isLarge = bytes.length > smallBytes
    const turn = isLarge ? ticket.turn(weighJson(bytes)) : undefined
    if (turn) await turn
    return await use(parseBytes(bytes, request.headers['content-type']))
  } finally {
    ticket.release()
  }
}

// A body that is no larger becomes little beside a heap, whatever it holds.
export const smallBytes = 64 * 1024
const maxDepth = 1000
const maxValues = 16_000_000
const maxWeightBytes = 192 * 1024 * 1024

/**
 * Memory that JSON.parse needs for a body, bytes, as far as it can be told before: measured for V8 on 64 bits. Throws
 * EVT_TOO_LARGE for more than one request may take, so that `{},{},…` costs its bytes and not twenty times as many.
 */
export function weighJson(bytes: Uint8Array): number {
  const { values, objects, arrays, depth } = scanJson(bytes, { values: maxValues, depth: maxDepth })
  if (depth > maxDepth) throw jsonInvalid('nested too deep', 0)
  const weight = bytes.length * 2 + values * 16 + objects * 56 + arrays * 32
  if (values > maxValues || weight > maxWeightBytes)
    throw new EventError('EVT_TOO_LARGE', 'The body holds too many values')
  return weight
}

/** A body that was read. Throws EVT_BODY, EVT_JSON and EVT_INVALID. */
export function parseBytes(bytes: Buffer, type: string | undefined): Value {
  if (bytes.length === 0)
    throw new EventError('EVT_INVALID', 'Field required', { detail: [missing(['body'])] })
  if (!isUtf8(bytes)) throw new EventError('EVT_BODY')
  const text = bytes.toString('utf8')
  if (type === 'application/json' || jsonType.test(type ?? '')) return parseBody(text)
  return text
}

async function readBytes(
  request: FastifyRequest,
  { ticket, maxBodyBytes }: ReadJsonOptions,
): Promise<Buffer> {
  const announced = Number(request.headers['content-length'])
  const tooLarge = () => new EventError('EVT_TOO_LARGE', `The body is larger than ${maxBodyBytes} bytes`)
  if (announced > maxBodyBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    const stream = request.raw
    const fail = (error: EventError) => {
      stream.off('data', take)
      stream.pause()
      reject(error)
    }
    const take = (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBodyBytes) return fail(tooLarge())
      try {
        ticket.grow(chunk.length)
      } catch (error) {
        return fail(error as EventError)
      }
      chunks.push(chunk)
    }
    stream.on('data', take)
    stream.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    stream.on('error', (cause) => reject(new EventError('EVT_BODY', undefined, { cause })))
    stream.on('close', () => {
      if (!stream.readableEnded) reject(new EventError('EVT_BODY', 'The body was cut off'))
    })
  })
}

/** Python writes NaN and the infinities into JSON, and the original reads them as null. */
function parseBody(text: string): Value {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof RangeError) throw jsonInvalid('nested too deep', 0)
    if (text.includes('NaN') || text.includes('Infinity')) {
      try {
        return parsePythonJson(text)
      } catch {
        // The first error tells where.
      }
    }
    const { message } = error as SyntaxError
    const position = /position (\d+)/.exec(message)
    throw jsonInvalid(message, position ? Number(position[1]) : text.length)
  }
}

function jsonInvalid(reason: string, offset: number): EventError {
  return new EventError('EVT_JSON', `JSON decode error: ${reason}`, {
    detail: [
      {
        type: 'json_invalid',
        loc: ['body', offset],
        msg: 'JSON decode error',
        input: {},
        ctx: { error: reason },
      },
    ],
  })
}

/** Where a body may be left out. */
export const hasBody = (headers: { [name: string]: unknown }) =>
  Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
