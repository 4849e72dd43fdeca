import type { Outcome } from './exporter.ts'
import { type Run, sliceRuns } from './otlp/request.ts'

/** What became of one record of a batch. */
export type Verdict = 'delivered' | 'failed'

// So many parts that fail one after the other are the endpoint's fault, and no record's.
const maxFailuresInRow = 64

/**
 * Finds the records of a batch that the endpoint chokes on, by halves: what fails alone while others pass. Gives the
 * verdicts on its first records, up to the first that is not known; none when nothing passed.
 *
 *     [ a b c d e f g h ]  ▶  [ a b c d ] passed  [ e f ] failed  [ e ] failed  [ f ] passed  [ g h ] passed
 */
export async function isolate(
  runs: readonly Run[],
  count: number,
  send: (runs: Run[], count: number) => Promise<Outcome>,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  let hasPassed = false
  let failures = 0

  /** False when it makes no sense to go on. */
  async function probe(from: number, to: number): Promise<boolean> {
    const outcome = await send(sliceRuns(runs, from, to), to - from)
    if (outcome.kind === 'delivered') {
      hasPassed = true
      failures = 0
      for (let i = from; i < to; i++) verdicts[i] = 'delivered'
      return true
    }
    // It is away, or asks to wait: that says nothing about the records.
    if (outcome.kind === 'retry' && !outcome.isAnswer) return false
    if (++failures > maxFailuresInRow) return false
    if (to - from > 1) return halve(from, to)
    verdicts[from] = 'failed'
    return true
  }

  async function halve(from: number, to: number): Promise<boolean> {
    const middle = from + Math.ceil((to - from) / 2)
    return (await probe(from, middle)) && (middle >= to || probe(middle, to))
  }

  const isWhole = await halve(0, count)
  if (!hasPassed) return []
  if (isWhole) return verdicts
  // What failed last may have failed with the endpoint.
  const last = verdicts.lastIndexOf('delivered')
  return verdicts.slice(0, last + 1)
}
