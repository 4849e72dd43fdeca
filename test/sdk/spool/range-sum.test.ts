import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRangeSum } from '../../../sdk/src/spool/range-sum.ts'

it('the sum of a range is that of its bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(5000), fc.nat(5000), (noise, a, b) => {
      const bytes = Buffer.from(noise)
      const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)]
      expect(createRangeSum(bytes)(start, end)).toBe(crc32(bytes.subarray(start, end)))
    }),
    { numRuns: 2000 },
  )
})
