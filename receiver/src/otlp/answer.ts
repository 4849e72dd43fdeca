const maxAfterMs = 300_000

/** Retry-After as seconds or as a date → milliseconds from now, at most five minutes; undefined when there is none. Source: RFC 9110, 10.2.3. */
export function parseRetryAfter(text: string | null, nowMs: number = Date.now()): number | undefined {
  if (!text) return undefined
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxAfterMs)
}
