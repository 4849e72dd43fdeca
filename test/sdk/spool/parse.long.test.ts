import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeContext, encodeRecord } from '../../../sdk/src/otlp/encode.ts'
import { createWriter } from '../../../sdk/src/otlp/writer.ts'
import { headerBytes } from '../../../sdk/src/spool/frame.ts'
import { parseSegment } from '../../../sdk/src/spool/leftover.ts'
import { createSegment } from '../../../sdk/src/spool/segment.ts'
import { createFileStore } from '../../../sdk/src/spool/store.ts'
import { growth } from '../../support/doubling.ts'

const folder = mkdtempSync(join(tmpdir(), 'madsci-parse-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A segment of records with two contexts, the second one from the fifth on, and where each of its frames ends. */
function makeSegment(count = 8) {
  const path = join(folder, `${Math.random()}.seg`)
  const store = createFileStore(path, { isSynced: false })
  const segment = createSegment(store, 1 << 23)
  const writer = createWriter()
  const contexts = ['a', 'b'].map((name) => encodeContext(writer, { attributes: { name }, scope: { name } }))
  const ends: number[] = []
  for (let i = 0; i < count; i++) {
    const context = contexts[i < 4 ? 0 : 1]!
    const record = {
      hrTime: [i, 0],
      hrTimeObserved: [i, 0],
      attributes: { i, text: 'x'.repeat((i * 7) % 300) },
      droppedAttributesCount: 0,
    }
    segment.append(encodeRecord(writer, record as never, context))
    ends.push(store.size)
  }
  store.seal()
  return { bytes: readFileSync(path), ends }
}

const { bytes, ends } = makeSegment()
const textsOf = (from: Buffer) =>
  parseSegment(from).records.map(({ start, end }) => from.toString('latin1', start, end))
const texts = textsOf(bytes)

describe('damage of a segment', () => {
  it('whole, it has all its records', () => {
    expect(texts).toHaveLength(8)
    expect(parseSegment(bytes).isDamaged).toBe(false)
  })

  it('cut at any place, it has the records before that, and is not called damaged', () => {
    for (let length = 0; length < bytes.length; length++) {
      const cut = Buffer.from(bytes.subarray(0, length))
      const whole = ends.filter((end) => end <= length).length
      expect(textsOf(cut), `cut at ${length}`).toEqual(texts.slice(0, whole))
      expect(parseSegment(cut).isDamaged).toBe(false)
    }
  })

  it('with any byte changed, it has all records but the one with that byte', () => {
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [1, 0x80, 0xff]) {
        const bad = Buffer.from(bytes)
        bad[at]! ^= mask
        const found = textsOf(bad)
        const hit = at < headerBytes ? -1 : ends.findIndex((end) => at < end)
        const missing = texts.filter((text) => !found.includes(text))
        expect(found, `byte ${at}`).toEqual(texts.filter((text) => !missing.includes(text)))
        if (hit < 0) expect(missing).toEqual([])
        else expect([[], [texts[hit]]]).toContainEqual(missing)
      }
    }
  })

  it('any bytes end, and give nothing that was not put there', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(bytes.length),
        fc.nat(bytes.length),
        (noise, a, b) => {
          expect(textsOf(Buffer.from(noise))).toEqual([])
          // A piece of it is replaced by noise, or noise is put in between.
          const mixed = Buffer.concat([bytes.subarray(0, a), noise, bytes.subarray(b)])
          for (const text of textsOf(mixed)) expect(texts).toContain(text)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('garbage of any length at any place costs the records that it touches', () => {
    const large = makeSegment(12_000)
    const all = textsOf(large.bytes)
    const garbage = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 9000 }),
      // What could be the heads of frames, one after the other, of lengths that fit in.
      fc
        .record({
          cells: fc.integer({ min: 1, max: 4000 }),
          length: fc.constantFrom(1, 300, 65_536, 1 << 20),
        })
        .map(({ cells, length }) => {
          const head = Buffer.alloc(12)
          head.writeUInt32LE(length, 4)
          head[8] = 1
          return Buffer.concat(Array.from({ length: cells }, () => head))
        }),
      fc.integer({ min: 1, max: 300_000 }).map((length) => Buffer.alloc(length, 1)),
    )
    fc.assert(
      fc.property(garbage, fc.integer({ min: headerBytes, max: large.bytes.length - 1 }), (noise, at) => {
        const bad = Buffer.from(large.bytes)
        bad.set(noise.subarray(0, bad.length - at), at)
        const until = Math.min(bad.length, at + noise.length)
        const first = large.ends.findIndex((end) => end > at)
        const next = large.ends.findIndex(
          (end, i) => (i === 0 ? headerBytes : large.ends[i - 1]!) >= until && end > 0,
        )
        const touched = next < 0 ? all.slice(first) : all.slice(first, next)
        const found = new Set(textsOf(bad))
        for (const text of all) if (!touched.includes(text)) expect(found.has(text)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('what looks like a frame all over does not take for ever', async () => {
    const trapOf = (size: number) => {
      const trap = Buffer.alloc(size)
      for (let i = 0; i < trap.length; i += 2) trap[i] = 1
      return Buffer.concat([bytes.subarray(0, headerBytes), trap])
    }
    expect(
      await growth((size) => expect(textsOf(trapOf(size))).toEqual([]), {
        from: 1 << 18,
        to: 1 << 22,
        runs: 2,
      }),
    ).toBeLessThan(2.5)
  })

  it('what looks like a frame all over ends soon', () => {
    const trap = Buffer.alloc(4 << 20)
    for (let i = 0; i < trap.length; i += 2) trap[i] = 1
    const start = performance.now()
    expect(textsOf(Buffer.concat([bytes.subarray(0, headerBytes), trap]))).toEqual([])
    expect(performance.now() - start).toBeLessThan(5000)
  })
})
