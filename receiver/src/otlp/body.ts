import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { EventError } from '@madsci-events/sdk/event'
import type { MemoryPool } from '../document/memory-pool.ts'
import { watchPace } from '../pace.ts'
import { inflate, inflaters } from './inflate.ts'

export interface ReadBodyOptions {
  /** Content-Encoding as sent; undefined is identity. */
  encoding: string | undefined
  /** Content-Length as sent; NaN when it was not. */
  announcedBytes: number
  /** Largest body, also after decompression. */
  maxBodyBytes: number
  /** Called for bytes as they come, or as they inflate, before they are kept; may throw. */
  onGrow: (bytes: number) => void
  /** Gives the memory of a plain body that was announced; who uses one gives the body back when it is read out. */
  pool?: MemoryPool
}

// A larger one takes memory as it comes: what is announced may never arrive.
const maxPooledBody = 4 * 1024 * 1024

/**
 * Reads a body whole, inflated. Throws EVT_ENCODING for an encoding that we do not know, EVT_TOO_LARGE as soon as one byte
 * too many is there (a zip bomb costs its limit and no more), EVT_BODY for one that is cut off or does not inflate.
 */
export async function readBody(stream: Readable, options: ReadBodyOptions): Promise<Buffer> {
  const { announcedBytes, maxBodyBytes, onGrow } = options
  const encoding = options.encoding?.trim().toLowerCase() || 'identity'
  const create =
    encoding === 'identity' ? undefined : Object.hasOwn(inflaters, encoding) && inflaters[encoding]
  if (create === false) {
    throw new EventError('EVT_ENCODING', `The content encoding '${encoding.slice(0, 40)}' is not supported`)
  }
  const tooLarge = () => new EventError('EVT_TOO_LARGE', `The body is larger than ${maxBodyBytes} bytes`)
  if (announcedBytes > maxBodyBytes) throw tooLarge()

  if (!create && announcedBytes > 0 && announcedBytes <= maxPooledBody && options.pool)
    return readPooled(stream, options.pool, onGrow)
  const gathered = createGathered()
  const take = (chunk: Buffer) => {
    if (gathered.size + chunk.length > maxBodyBytes) throw tooLarge()
    onGrow(chunk.length)
    gathered.add(chunk)
  }
  if (create) await inflate(chunksOf(stream), create, take)
  else await readPlain(stream, take)
  return gathered.take()
}

/** Bytes that come in pieces. */
interface Gathered {
  readonly size: number
  add(chunk: Buffer): void
  copyTo(memory: Uint8Array): void
  /** All of them, one behind the other. */
  take(): Promise<Buffer>
}

// To copy more than that at once would hold the thread.
const maxCopiedAtOnce = 4 * 1024 * 1024

// A piece costs some hundred bytes beside its own: small ones are copied together.
const smallPiece = 4096
const gatheredBytes = 64 * 1024
const nothing = Buffer.alloc(0)

function createGathered(): Gathered {
  const chunks: Buffer[] = []
  let size = 0
  /** Of the last of `chunks`, where it is ours: so many bytes of it are filled. */
  let filled = 0
  let open: Buffer | undefined

  function addSmall(chunk: Buffer): void {
    if (!open || open.length - filled < chunk.length) {
      closeOpen()
      open = Buffer.allocUnsafeSlow(gatheredBytes)
      chunks.push(open)
    }
    filled += chunk.copy(open, filled)
  }

  function closeOpen(): void {
    if (open) chunks[chunks.length - 1] = open.subarray(0, filled)
    open = undefined
    filled = 0
  }

  return {
    get size() {
      return size
    },
    add(chunk) {
      size += chunk.length
      // The first one may be all.
      if (chunk.length < smallPiece && chunks.length > 0) return addSmall(chunk)
      closeOpen()
      chunks.push(chunk)
    },
    copyTo(memory) {
      closeOpen()
      let at = 0
      for (const chunk of chunks) at += chunk.copy(memory, at)
    },
    async take() {
      closeOpen()
      if (chunks.length === 1) return chunks[0]!
      if (size <= maxCopiedAtOnce) return Buffer.concat(chunks, size)
      const whole = Buffer.allocUnsafeSlow(size)
      let at = 0
      let held = 0
      // A piece goes once it is copied: the body lies in memory twice for a moment at most.
      for (const [index, chunk] of chunks.entries()) {
        at += chunk.copy(whole, at)
        chunks[index] = nothing
        held += chunk.length
        if (held < maxCopiedAtOnce) continue
        held = 0
        await nextTurn()
      }
      return whole
    },
  }
}

/** The memory is taken when the body is there: what is announced may never come. */
async function readPooled(
  stream: Readable,
  pool: MemoryPool,
  onGrow: ReadBodyOptions['onGrow'],
): Promise<Buffer> {
  const gathered = createGathered()
  await readPlain(stream, (chunk) => {
    onGrow(chunk.length)
    gathered.add(chunk)
  })
  const body = pool.take(gathered.size)
  gathered.copyTo(body)
  return body
}

/**
 * The bytes of a body as they come, without the cost of a pipeline: settles with the request's own `end`. Throws EVT_BODY for
 * one that is cut off, EVT_OVERLOAD for one that comes too slowly, and what `take` throws.
 */
export function readPlain(stream: Readable, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      pace.end()
      stream.off('data', onData)
      stream.pause()
      reject(error)
    }
    const pace = watchPace(fail)
    const onData = (chunk: Buffer) => {
      pace.count(chunk.length)
      try {
        take(chunk)
      } catch (error) {
        fail(error)
      }
    }
    const cutOff = (cause?: unknown) => fail(new EventError('EVT_BODY', 'The body was cut off', { cause }))
    stream.on('data', onData)
    stream.once('end', () => {
      pace.end()
      resolve()
    })
    stream.once('aborted', () => cutOff())
    stream.once('error', cutOff)
    stream.once('close', () => {
      if (!stream.readableEnded) cutOff()
    })
  })
}

/** The bytes of a body, one piece after the other. The request itself outlives a refusal: the answer goes out on the same connection. */
async function* chunksOf(stream: Readable): AsyncGenerator<Buffer> {
  const { promise: slow, reject } = Promise.withResolvers<never>()
  slow.catch(() => {})
  const pace = watchPace(reject)
  const chunks = stream.iterator({ destroyOnReturn: false })
  try {
    for (;;) {
      const { value, done } = await Promise.race([chunks.next(), slow])
      if (done) return
      pace.count(value.length)
      yield value
    }
  } finally {
    pace.end()
    // It is not waited for: what it waits for may never come.
    void chunks.return?.()
  }
}
