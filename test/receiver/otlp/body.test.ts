import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createMemoryPool } from '../../../receiver/src/document/memory-pool.ts'
import { readBody } from '../../../receiver/src/otlp/body.ts'

const pool = createMemoryPool()
const read = (parts: (string | Buffer)[], announcedBytes: number) =>
  readBody(Readable.from(parts.map((part) => Buffer.from(part))), {
    encoding: undefined,
    announcedBytes,
    maxBodyBytes: 1 << 20,
    onGrow() {},
    pool,
  })
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString()

describe('memory of bodies', () => {
  it('is used again once it is given back, and never shows what was there before', async () => {
    const first = await read(['abc', 'defgh'], 8)
    expect(textOf(first)).toBe('abcdefgh')
    const beside = await read(['xy'], 2)
    expect(textOf(beside)).toBe('xy')
    expect(textOf(first)).toBe('abcdefgh')
    pool.giveBack(first)
    const second = await read(['123'], 3)
    expect(second.buffer).toBe(first.buffer)
    expect(textOf(second)).toBe('123')
    expect(second.length).toBe(3)
  })

  it('is given once, also when it is given back twice', async () => {
    const body = await read(['one'], 3)
    pool.giveBack(body)
    pool.giveBack(body)
    const [a, b] = [await read(['aaa'], 3), await read(['bbb'], 3)]
    expect(a.buffer).not.toBe(b.buffer)
    expect(textOf(a)).toBe('aaa')
  })

  it('holds pieces of any size in their order, and small ones together', async () => {
    const sizes = [1, 5000, 1, 1, 4095, 4096, 70_000, 3, 65_536, ...new Array(3000).fill(1), 100_000, 7]
    const pieces = sizes.map((size, index) => Buffer.alloc(size, index % 251))
    const whole = Buffer.concat(pieces)
    for (const announced of [whole.length, Number.NaN]) {
      const body = await read(pieces, announced)
      expect(body.equals(whole)).toBe(true)
    }
    const large = Array.from({ length: 700 }, (_, index) =>
      Buffer.alloc(index % 3 === 0 ? 64 : 16_384, index % 251),
    )
    const options = { encoding: undefined, announcedBytes: Number.NaN, maxBodyBytes: 16 << 20, onGrow() {} }
    const body = await readBody(Readable.from(large), options)
    expect(body.equals(Buffer.concat(large))).toBe(true)
  })

  it('of a body that is cut off comes back', async () => {
    const stream = new Readable({ read() {} })
    const options = { encoding: undefined, announcedBytes: 100, maxBodyBytes: 1000, onGrow() {}, pool }
    const reading = readBody(stream, options)
    stream.push('half')
    await new Promise((resolve) => setImmediate(resolve))
    stream.destroy()
    await expect(reading).rejects.toMatchObject({ code: 'EVT_BODY' })
    expect(textOf(await read(['whole'], 5))).toBe('whole')
  })

  it('grows with what comes', async () => {
    const large = Buffer.alloc(300_000, 'x')
    const body = await read([large.subarray(0, 100_000), large.subarray(100_000)], large.length)
    expect(Buffer.compare(body, large)).toBe(0)
    pool.giveBack(body)
    expect(textOf(await read(['small'], 5))).toBe('small')
  })
})
