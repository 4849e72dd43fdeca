import { decodeTime, monotonicFactory } from 'ulid'

const nextAt = monotonicFactory()
const ulidPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** A new ULID: 26 upper-case Crockford characters, ascending within this process. */
export function createEventId(timeMs?: number): string {
  if (timeMs !== undefined) return nextAt(timeMs)
  // The factory of `ulid` asks for randomness character by character: several microseconds each millisecond. Here a
  // millisecond starts with 80 random bits, of which the last 40 count up.
  const nowMs = Date.now()
  if (nowMs > lastMs || prefix === '') startMs(nowMs)
  else if (++low === 1 << 20) {
    low = 0
    if (++high === 1 << 20) startMs(lastMs + 1)
  }
  return prefix + pairs[high >>> 10]! + pairs[high & 1023]! + pairs[low >>> 10]! + pairs[low & 1023]!
}

const pairs = Array.from({ length: 1024 }, (_, i) => alphabet[i >> 5]! + alphabet[i & 31]!)
const pool = new Uint8Array(4000)
let poolAt = pool.length
let lastMs = 0
let prefix = ''
let high = 0
let low = 0

function startMs(ms: number): void {
  if (poolAt === pool.length) {
    crypto.getRandomValues(pool)
    poolAt = 0
  }
  const random = pool.subarray(poolAt, poolAt + 10)
  poolAt += 10
  // A test's clock may stand at 0, before it, or be none.
  lastMs = ms > 0 ? ms : 0
  prefix = ulidFrom(lastMs, random).slice(0, 18)
  // Without its highest bit: there is room to count.
  high = ((random[5]! & 127) << 12) | (random[6]! << 4) | (random[7]! >> 4)
  low = ((random[7]! & 15) << 16) | (random[8]! << 8) | random[9]!
}

/** True for a ULID as MADSci demands it: upper case only, first character 0–7. */
export function isUlid(text: string): boolean {
  return ulidPattern.test(text)
}

/** The ULID that has this time (ms since 1970, 48 bits) and these 10 bytes for its random part. */
export function ulidFrom(timeMs: number, bytes: Uint8Array): string {
  let text = ''
  let time = Math.min(Math.max(Math.floor(timeMs), 0), 281474976710655)
  for (let i = 0; i < 10; i++) {
    text = alphabet[time % 32]! + text
    time = Math.floor(time / 32)
  }
  for (let i = 0; i < 10; i += 5) {
    const [a, b, c, d, e] = [bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!, bytes[i + 4]!]
    text +=
      alphabet[a >> 3]! +
      alphabet[((a & 7) << 2) | (b >> 6)]! +
      alphabet[(b >> 1) & 31]! +
      alphabet[((b & 1) << 4) | (c >> 4)]! +
      alphabet[((c & 15) << 1) | (d >> 7)]! +
      alphabet[(d >> 2) & 31]! +
      alphabet[((d & 3) << 3) | (e >> 5)]! +
      alphabet[e & 31]!
  }
  return text
}

/** When a ULID was made, ms since 1970; undefined for other ids. */
export function timeOfUlid(text: string): number | undefined {
  return isUlid(text) ? decodeTime(text) : undefined
}
