import { isUtf8 } from 'node:buffer'
import { EventError, missing, parseJson, type Value } from '@madsci-events/sdk/event'
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
    return await use(await readJson(request, { ticket, maxBodyBytes }))
  } finally {
    ticket.release()
  }
}

/**
 * Reads a REST body as the original does. Throws EVT_TOO_LARGE, EVT_BODY (no UTF-8, or cut off), EVT_JSON and
 * EVT_INVALID (nothing there, or no JSON content type, so that it counts as text).
 */
export async function readJson(request: FastifyRequest, options: ReadJsonOptions): Promise<Value> {
  return parseBytes(await readBytes(request, options), request.headers['content-type'])
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
        if (Number.isNaN(announced)) ticket.grow(chunk.length)
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

function parseBody(text: string): Value {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof RangeError) throw jsonInvalid('nested too deep', 0)
    const relaxed = withoutNonFinite(text)
    if (relaxed !== text) {
      try {
        return parseJson(relaxed)
      } catch {
        // the first error tells where
      }
    }
    const { message } = error as SyntaxError
    const position = /position (\d+)/.exec(message)
    throw jsonInvalid(message, position ? Number(position[1]) : text.length)
  }
}

// Python writes NaN and the infinities into JSON, and the original reads them as null. Strings are matched to be passed over.
function withoutNonFinite(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/gs, (word) =>
    word.startsWith('"') ? word : 'null',
  )
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
