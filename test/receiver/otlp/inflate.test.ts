import { createZstdDecompress, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { inflate, inflaters } from '../../../receiver/src/otlp/inflate.ts'

async function* inPieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(encoding: string, bytes: Buffer, size = bytes.length): Promise<string> {
  const taken: Buffer[] = []
  await inflate(inPieces(bytes, size || 1), inflaters[encoding]!, (chunk) => taken.push(Buffer.from(chunk)))
  return Buffer.concat(taken).toString()
}

const compressors = { gzip: gzipSync, deflate: deflateSync, zstd: zstdCompressSync }
const skippable = Buffer.concat([Buffer.from([0x57, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('aside')])
// Does not compress: several blocks.
const long = Array.from({ length: 60_000 }, (_, n) => ((n * 2654435761) >>> 0).toString(36)).join('')

describe.each(Object.entries(compressors))('%s', (encoding, compress) => {
  const frame = (text: string) => compress(Buffer.from(text))

  it('is read to its last member, however it comes', async () => {
    const bytes = Buffer.concat([frame('first '), frame(''), frame('second'), frame(` ${long}`)])
    for (const size of [bytes.length, 1000])
      expect((await read(encoding, bytes, size)) === `first second ${long}`).toBe(true)
    const short = Buffer.concat([frame('a'), frame('b')])
    for (let size = 1; size <= short.length; size++) expect(await read(encoding, short, size)).toBe('ab')
  })

  it('is refused with anything behind it, cut off, or empty', async () => {
    const bytes = frame('whole')
    const bad = [
      Buffer.concat([bytes, Buffer.from('rest')]),
      Buffer.concat([bytes, frame('second').subarray(0, 8)]),
      bytes.subarray(0, bytes.length - 1),
      Buffer.alloc(0),
      Buffer.from('no frame at all'),
    ]
    for (const body of bad)
      for (const size of [body.length, 3])
        await expect(read(encoding, body, size)).rejects.toMatchObject({ code: 'EVT_BODY' })
  })

  it('ends with what its reader throws', async () => {
    const reading = inflate(inPieces(frame(long), 500), inflaters[encoding]!, () => {
      throw new RangeError('enough')
    })
    await expect(reading).rejects.toThrow('enough')
  })
})

it('zstd: skippable frames are passed over, wherever they are; frames without end are refused', async () => {
  const [a, b] = [zstdCompressSync('a'), zstdCompressSync('b')]
  for (const size of [1000, 5, 1])
    expect(await read('zstd', Buffer.concat([skippable, a, skippable, b, skippable]), size)).toBe('ab')
  const many = Buffer.concat(Array.from({ length: 2000 }, () => skippable))
  await expect(read('zstd', many)).rejects.toMatchObject({ code: 'EVT_BODY' })
})

it('each frame gives back the memory of its decoder', async () => {
  const decoders: ReturnType<typeof createZstdDecompress>[] = []
  const create = () => {
    const decoder = createZstdDecompress()
    decoders.push(decoder)
    return decoder
  }
  const bytes = Buffer.concat(Array.from({ length: 3 }, () => skippable))
  await inflate(inPieces(bytes, bytes.length), create, () => {})
  expect(decoders.map(({ destroyed }) => destroyed)).toEqual([true, true, true])
})
