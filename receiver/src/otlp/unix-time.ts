import type { Reader } from './wire.ts'

/** Nanoseconds since 1970, as whole microseconds and what is beyond them: together they are exact. */
export interface UnixTime {
  micros: number
  /** 0 to 999. */
  nanos: number
  isZero: boolean
}

export const createUnixTime = (): UnixTime => ({ micros: 0, nanos: 0, isZero: true })

// Beyond, a number is too short for microseconds: the year 2255.
const maxMicros = 2 ** 53 - 1

/** The fixed64 at this place; 0 for −1. False for one that is beyond. */
export function readUnixTime({ view }: Reader, at: number, time: UnixTime): boolean {
  const high = at < 0 ? 0 : view.getUint32(at + 4, true)
  const low = at < 0 ? 0 : view.getUint32(at, true)
  const highThousands = Math.floor(high / 1000)
  const rest = (high - highThousands * 1000) * 2 ** 32 + low
  const restThousands = Math.floor(rest / 1000)
  time.micros = highThousands * 2 ** 32 + restThousands
  time.nanos = rest - restThousands * 1000
  time.isZero = high === 0 && low === 0
  return time.micros <= maxMicros
}

/** Nanoseconds as digits. */
export function nanosTextOf({ micros, nanos }: UnixTime): string {
  return micros === 0 ? String(nanos) : `${micros}${String(nanos).padStart(3, '0')}`
}
