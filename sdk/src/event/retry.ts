export interface BackoffOptions {
  firstMs: number
  mostMs: number
  /** The part of a delay by which it is shorter or longer at most, so that many do not come back together; 0 if not given. */
  jitter?: number
  /** From 0 to 1. */
  random?: () => number
}

/** Exponential backoff: the delay behind the failure of this number in a row, from 1 on. The jitter comes upon `mostMs` too. */
export function toBackoffMs(
  failure: number,
  { firstMs, mostMs, jitter = 0, random = Math.random }: BackoffOptions,
): number {
  return Math.min(firstMs * 2 ** (failure - 1), mostMs) * (1 - jitter + 2 * jitter * random())
}

const mostAfterMs = 300_000

/**
 * Retry-After as seconds or as a date → milliseconds from now, `mostMs` at most (five minutes if not given); undefined when there is none.
 * Source: RFC 9110, 10.2.3.
 */
export function parseRetryAfter(
  text: string | null | undefined,
  nowMs: number = Date.now(),
  mostMs: number = mostAfterMs,
): number | undefined {
  if (!text) return undefined
  const ms = /^\s*\d+\s*$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), mostMs)
}
