import type { Num } from './number.ts'

/**
 * Python's statistics.mean: the exact sum, divided and rounded once. Of integers alone it is an integer when it comes out even.
 * The list must not be empty.
 */
export function mean(values: readonly Num[]): Num {
  let numerator = 0n
  let scale = 0
  let isWhole = true
  for (const value of values) {
    if (typeof value === 'number') isWhole = false
    const [digits, exponent] = typeof value === 'bigint' ? [value, 0] : toBinary(value)
    if (exponent < -scale) {
      numerator <<= BigInt(-exponent - scale)
      scale = -exponent
    }
    numerator += digits << BigInt(exponent + scale)
  }
  const count = BigInt(values.length)
  if (isWhole && numerator % count === 0n) return numerator / count
  // 64 bits more than the result needs, and one that says whether anything was left.
  const wide = numerator << 128n
  const quotient = wide / count
  const rest = wide % count === 0n ? 0n : numerator < 0n ? -1n : 1n
  return Number(quotient * 2n + rest) * 2 ** -(129 + scale)
}

/** A finite float as digits × 2^exponent, exactly. */
function toBinary(value: number): [digits: bigint, exponent: number] {
  let exponent = 0
  let digits = value
  while (!Number.isInteger(digits)) {
    digits *= 2
    exponent--
  }
  return [BigInt(digits), exponent]
}
