/** The median of a sample, with an interval that holds the true one with a given probability. */
export interface MedianInterval {
  median: number
  low: number
  high: number
}

/**
 * Without an assumption about the distribution: order statistics of the sign test, interpolated between the two ranks whose
 * coverage lies above and below `coverage` (Hettmansperger and Sheather, 1986). With too few values for the coverage, the interval
 * is the whole range. Throws for an empty sample.
 */
export function medianInterval(sample: readonly number[], coverage: number): MedianInterval {
  const sorted = [...sample].sort((a, b) => a - b)
  const count = sorted.length
  if (count === 0) throw new Error('an empty sample has no median')
  const median = (sorted[(count - 1) >> 1]! + sorted[count >> 1]!) / 2
  let rank = 1
  while (rank + 1 <= count / 2 && coverageOf(count, rank + 1) >= coverage) rank++
  const [above, below] = [coverageOf(count, rank), coverageOf(count, rank + 1)]
  const isRange = above <= coverage || rank + 1 > count / 2
  const share = isRange ? 0 : (above - coverage) / (above - below)
  const weight = ((count - rank) * share) / (rank + (count - 2 * rank) * share)
  const between = (outer: number, inner: number) => (1 - weight) * outer + weight * inner
  return {
    median,
    low: between(sorted[rank - 1]!, sorted[rank] ?? sorted[rank - 1]!),
    high: between(sorted[count - rank]!, sorted[count - rank - 1] ?? sorted[count - rank]!),
  }
}

/** How probably the median lies between the value of this rank from below and that from above. */
function coverageOf(count: number, rank: number): number {
  let tail = 0
  let ways = 1
  for (let below = 0; below < rank; below++) {
    tail += ways
    ways = (ways * (count - below)) / (below + 1)
  }
  return 1 - (2 * tail) / 2 ** count
}
