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

const folder = mkdtempSync(join(tmpdir(), 'madsci-parse-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A segment of eight records with two contexts, and where each of its frames ends. */
function makeSegment() {
  const path = join(folder, `${Math.random()}.seg`)
  const store = createFileStore(path, { isSynced: false })
  const segment = createSegment(store, 1 << 20)
  const writer = createWriter()
  const contexts = ['a', 'b'].map((name) => encodeContext(writer, { attributes: { name }, scope: { name } }))
  const ends: number[] = []
  for (let i = 0; i < 8; i++) {
    const context = contexts[i < 4 ? 0 : 1]!
    const record = {
      hrTime: [i, 0],
      hrTimeObserved: [i, 0],
      attributes: { i, text: 'x'.repeat(i * 7) },
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

  it('what looks like a frame all over does not take for ever', () => {
    const trap = Buffer.alloc(4 << 20)
    for (let i = 0; i < trap.length; i += 2) trap[i] = 1
    const start = performance.now()
    expect(textsOf(Buffer.concat([bytes.subarray(0, headerBytes), trap]))).toEqual([])
    expect(performance.now() - start).toBeLessThan(5000)
  })
})
