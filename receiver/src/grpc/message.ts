import { Readable } from 'node:stream'
import { EventError } from '@madsci-events/sdk/event'
import { readBody, readPlain } from '../otlp/body.ts'

export interface ReadMessageOptions {
  /** `grpc-encoding` as sent; counts for a message that is marked as compressed. */
  encoding: string | undefined
  /** Largest message, also after decompression. */
  maxBodyBytes: number
  /** Called for bytes as they arrive, before they are kept; may throw. */
  onGrow: (bytes: number) => void
}

const prefixBytes = 5

/**
 * Reads the one message of a unary call, inflated:
 *
 *     compressed? (1 byte)  length (4 bytes, big endian)  message
 *
 * Its length is judged before the message is read. Throws EVT_TOO_LARGE, EVT_ENCODING, EVT_BODY, and what onGrow throws.
 * Source: gRPC over HTTP/2, Length-Prefixed-Message.
 */
export async function readMessage(stream: Readable, options: ReadMessageOptions): Promise<Uint8Array> {
  const { maxBodyBytes, onGrow } = options
  const { isCompressed, bytes } = await readFramed(stream, maxBodyBytes, onGrow)
  if (!isCompressed) return bytes
  if (options.encoding === undefined || options.encoding === 'identity')
    throw new EventError('EVT_BODY', 'A compressed message without grpc-encoding')
  return readBody(Readable.from([bytes]), {
    encoding: options.encoding,
    announcedBytes: bytes.length,
    maxBodyBytes,
    onGrow,
  })
}

interface Framed {
  isCompressed: boolean
  bytes: Buffer
}

async function readFramed(
  stream: Readable,
  maxBodyBytes: number,
  onGrow: (bytes: number) => void,
): Promise<Framed> {
  const chunks: Buffer[] = []
  let size = 0
  let expected: number | undefined
  await readPlain(stream, (chunk) => {
    // What came, not what the prefix announces.
    onGrow(chunk.length)
    chunks.push(chunk)
    size += chunk.length
    if (expected === undefined && size >= prefixBytes) {
      if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks))
      const length = chunks[0]!.readUInt32BE(1)
      if (length > maxBodyBytes)
        throw new EventError('EVT_TOO_LARGE', `The message is larger than ${maxBodyBytes} bytes`)
      expected = prefixBytes + length
    }
    if (expected !== undefined && size > expected)
      throw new EventError('EVT_BODY', 'A call carries one message')
  })
  if (size !== expected) throw new EventError('EVT_BODY', 'The message was cut off')
  const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)
  return { isCompressed: whole[0] === 1, bytes: whole.subarray(prefixBytes) }
}

/** A reply's message, not compressed. */
export function toFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(prefixBytes + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, prefixBytes)
  return frame
}
