import { crc32 } from 'node:zlib'

/** The CRC-32 of any range of some bytes, in time that hardly depends on its length. */
export type RangeSum = (start: number, end: number) => number

// Reversed, as in zlib.
const polynomial = 0xedb88320
const blockBytes = 512
/** Bit k: x to the power of 2^k bits, modulo the polynomial. */
const powers: number[] = []

/** The product of two polynomials over GF(2), modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0
  let rest = b
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= rest
    rest = rest & 1 ? (rest >>> 1) ^ polynomial : rest >>> 1
  }
  return product >>> 0
}

/** A sum behind which so many bytes of zero follow. */
function shift(sum: number, bytes: number): number {
  let shifted = sum
  for (let rest = bytes, k = 3; rest > 0; rest = Math.floor(rest / 2), k++) {
    while (powers.length <= k) {
      const last = powers.at(-1)
      powers.push(last === undefined ? 0x40000000 : multiply(last, last))
    }
    if (rest % 2 === 1) shifted = multiply(powers[k]!, shifted)
  }
  return shifted
}

/**
 * Sums are linear: that of a range follows from those of what ends where it begins and where it ends. The sums up to each
 * block are made once, as far as they are asked for. Source: zlib, crc32_combine.
 */
export function createRangeSum(bytes: Buffer): RangeSum {
  const blocks = [0]

  function upTo(end: number): number {
    const block = Math.floor(end / blockBytes)
    for (let k = blocks.length; k <= block; k++)
      blocks.push(crc32(bytes.subarray((k - 1) * blockBytes, k * blockBytes), blocks[k - 1]!))
    return crc32(bytes.subarray(block * blockBytes, end), blocks[block]!)
  }

  return (start, end) => (upTo(end) ^ shift(upTo(start), end - start)) >>> 0
}
