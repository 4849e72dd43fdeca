import { fromTimestamp } from '@madsci-events/sdk/event'

/**
 * One instant has several texts in a database: ours naive, ours with `Z`, and the original's, which leaves a zero
 * fraction out. Sorted as text: without fraction < naive < `Z`.
 */

/** The least text of the instant. */
export function toLowestText(text: string): string {
  return text.replace(/Z$/, '').replace(/\.000000$/, '')
}

/** The greatest text of the instant. */
export function toHighestText(text: string): string {
  return text.endsWith('Z') ? text : `${text}Z`
}

/** All texts of the instant. */
export function toAllTexts(text: string): string[] {
  const naive = text.replace(/Z$/, '')
  const lowest = toLowestText(text)
  const texts = [naive, `${naive}Z`]
  return lowest === naive ? texts : [lowest, `${lowest}Z`, ...texts]
}

/** The instant as both stores keep `archived_at`: milliseconds since 1970; undefined for text that is no canonical time. */
export function toDateMs(text: string): bigint | undefined {
  const nano = fromTimestamp(text)
  return nano === undefined ? undefined : nano / 1_000_000n - (nano % 1_000_000n < 0n ? 1n : 0n)
}

/** UTC without offset, as the original shows `archived_at`: six digits, or none when the fraction is zero. */
export function toDateText(ms: number): string {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return String(ms)
  const text = date.toISOString()
  const wall = text.slice(0, -5)
  return ms % 1000 === 0 ? wall : `${wall}.${text.slice(-4, -1)}000`
}
