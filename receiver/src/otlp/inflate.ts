import { createGunzip, createInflate, createZstdDecompress, type ZstdDecompress } from 'node:zlib'
import { EventError } from '@madsci-events/sdk/event'

// What Node's decoders share. `bytesWritten` is what was read of the input.
type Decoder = Pick<ZstdDecompress, 'write' | 'end' | 'on' | 'destroy' | 'bytesWritten' | 'readableEnded'>

/** By content encoding. */
export const inflaters: { [encoding: string]: () => Decoder } = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  zstd: createZstdDecompress,
}

// A decoder for each: of empty frames a small body could hold a million.
const maxFrames = 1000

const doesNotInflate = (cause?: unknown) =>
  new EventError('EVT_BODY', 'The body does not inflate, or was cut off', { cause })

/**
 * Gives `take` what the chunks inflate to: all members and frames of them, skippable ones passed over. Throws EVT_BODY for
 * what does not inflate to its last byte, and what `take` throws.
 * Source: RFC 1952, 2.2 (members); RFC 8878, 3 (frames).
 */
export async function inflate(
  chunks: AsyncIterable<Buffer>,
  create: () => Decoder,
  take: (chunk: Buffer) => void,
): Promise<void> {
  let frames = 0
  let frame: Frame | undefined
  try {
    for await (const chunk of chunks) {
      for (let rest = chunk; rest.length > 0; ) {
        if (!frame) {
          if (++frames > maxFrames)
            throw new EventError('EVT_BODY', `The body has more than ${maxFrames} compressed frames`)
          frame = openFrame(create(), take)
        }
        rest = await frame.write(rest)
        if (!frame.hasEnded()) continue
        // Its memory is outside the heap, and would wait for a collection.
        frame.destroy()
        frame = undefined
      }
    }
    // An empty body is none of these formats.
    if (frames === 0) throw doesNotInflate()
    await frame?.end()
  } finally {
    frame?.destroy()
  }
}

interface Frame {
  /** Resolves with the part that comes behind the end of this frame. */
  write(chunk: Buffer): Promise<Buffer>
  hasEnded(): boolean
  /** There is no more. */
  end(): Promise<void>
  destroy(): void
}

function openFrame(decoder: Decoder, take: (chunk: Buffer) => void): Frame {
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>()
  ended.catch(() => {})
  decoder.on('data', (chunk: Buffer) => {
    try {
      take(chunk)
    } catch (error) {
      fail(error)
      decoder.destroy()
    }
  })
  decoder.on('error', (cause) => fail(doesNotInflate(cause)))
  decoder.on('end', end)
  let written = 0
  return {
    async write(chunk) {
      const { promise: read, resolve } = Promise.withResolvers<void>()
      written += chunk.length
      decoder.write(chunk, () => resolve())
      await Promise.race([read, ended])
      const left = written - decoder.bytesWritten
      // It read less than it was given: its frame is over, as soon as what came of it was taken.
      if (left > 0) await ended
      return chunk.subarray(chunk.length - left)
    },
    hasEnded: () => decoder.readableEnded,
    async end() {
      decoder.end()
      await ended
    },
    destroy: () => void decoder.destroy(),
  }
}
