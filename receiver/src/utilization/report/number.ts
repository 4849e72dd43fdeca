/**
 * Numbers as the original's Python has and writes them. In a report an integer is a bigint and a float is a number, so that
 * `10.0` and `10` stay apart down to the text.
 */
export type Num = bigint | number

/** Python's round(value, digits): to the nearest by the exact binary value, exact halves to even. */
export function round(value: Num, digits: number): Num {
  if (typeof value === 'bigint') return value
  if (!Number.isFinite(value)) return value
  const up = value.toFixed(digits)
  // toFixed is exact, but takes a tie up; only a value that ends in a 5 right behind the last digit is one.
  const exact = Math.abs(value).toFixed(Math.min(digits + 60, 100))
  const tail = exact.slice(exact.indexOf('.') + 1 + digits)
  if (!/^50*$/.test(tail)) return Number(up)
  const kept = digits === 0 ? exact.slice(0, exact.indexOf('.')) : exact.slice(0, -tail.length)
  const isEven = Number(kept.at(-1)) % 2 === 0
  return isEven ? Math.sign(value) * Number(kept) : Number(up)
}

/** With so many decimals, as Python's format does: `{:.1f}`. */
export function toFixed(value: Num, digits: number): string {
  return Number(round(Number(value), digits)).toFixed(digits)
}

/** Python's repr: shortest digits, `.0` for whole floats, exponents from 1e16 on and below 1e-4. */
export function numberText(value: Num): string {
  if (typeof value === 'bigint') return value.toString()
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const magnitude = Math.abs(value)
  if (magnitude !== 0 && (magnitude >= 1e16 || magnitude < 1e-4)) {
    const [digits, exponent] = value.toExponential().split('e') as [string, string]
    const sign = exponent[0]!
    return `${digits}e${sign}${exponent.slice(1).padStart(2, '0')}`
  }
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

/** Anything that a report holds. Objects keep the order of their keys; a Map is an object whose keys are data. */
export type Tree =
  | null
  | boolean
  | string
  | Num
  | Tree[]
  | ReadonlyMap<string, Tree>
  | { [key: string]: Tree }

/** JSON with Python's numbers, without blanks, as the original answers it. */
export function toReportJson(tree: Tree): string {
  switch (typeof tree) {
    case 'string':
      return JSON.stringify(tree)
    case 'number':
      return Number.isFinite(tree) ? numberText(tree) : 'null'
    case 'bigint':
      return tree.toString()
    case 'boolean':
      return String(tree)
  }
  if (tree === null) return 'null'
  if (Array.isArray(tree)) return `[${tree.map(toReportJson).join(',')}]`
  const members = tree instanceof Map ? [...tree] : Object.entries(tree)
  return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${toReportJson(value as Tree)}`).join(',')}}`
}

/** Sum from Python's integer 0, in the order given: of none it is 0, not 0.0. */
export function sum(values: Iterable<Num>): Num {
  let total: Num = 0n
  for (const value of values) total = plus(total, value)
  return total
}

export function plus(a: Num, b: Num): Num {
  return typeof a === 'bigint' && typeof b === 'bigint' ? a + b : Number(a) + Number(b)
}

/** Microseconds between two instants as Python's total_seconds(). */
export function secondsBetween(fromMicros: number, toMicros: number): number {
  return (toMicros - fromMicros) / 1e6
}

/** UTC without offset; six digits, or none when the fraction is zero: Python's isoformat. */
export function toIsoText(micros: number): string {
  const ms = Math.floor(micros / 1000)
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return ''
  const wall = date.toISOString().slice(0, 19)
  const fraction = micros - Math.floor(ms / 1000) * 1e6
  return fraction === 0 ? wall : `${wall}.${String(fraction).padStart(6, '0')}`
}
