import { isUtf8 } from 'node:buffer'
import {
  EventError,
  missing,
  parseJson,
  parsePythonJson,
  scanJson,
  type Value,
} from '@madsci-events/sdk/event'

const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i

const maxDepth = 1000
const maxWeightBytes = 192 * 1024 * 1024

/**
 * Makes sure that a body of JSON becomes no more than one request may take, before it is parsed: `{},{},…` costs its bytes
 * and not twenty times as many. The memory that JSON.parse needs was measured for V8 on 64 bits. Throws EVT_TOO_LARGE, and
 * EVT_JSON for one that is nested too deep.
 */
export function boundJson(bytes: Uint8Array, maxValues: number, tooMany = tooManyInBody): void {
  const { values, objects, arrays, depth } = scanJson(bytes, { values: maxValues, depth: maxDepth })
  if (depth > maxDepth) throw jsonInvalid('nested too deep', 0)
  const weight = bytes.length * 2 + values * 16 + objects * 56 + arrays * 32
  if (values > maxValues) throw tooMany()
  if (weight > maxWeightBytes) throw tooManyInBody()
}

const tooManyInBody = () => new EventError('EVT_TOO_LARGE', 'The body holds too many values')

/** A body that was read. Throws EVT_BODY, EVT_JSON and EVT_INVALID. */
export function parseBytes(bytes: Uint8Array, type: string | undefined): Value {
  if (bytes.length === 0)
    throw new EventError('EVT_INVALID', 'Field required', { detail: [missing(['body'])] })
  if (!isUtf8(bytes)) throw new EventError('EVT_BODY')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  if (type === 'application/json' || jsonType.test(type ?? '')) return parseBody(text)
  return text
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
