export interface GrowthOptions {
  from: number
  /** Sizes go from `from` to here, each twice the one before. */
  to: number
  /** Runs of each size; the quickest counts, because others share the machine. */
  runs?: number
  /** Times below so many ms count as so many: they measure the machine. */
  floorMs?: number
}

/**
 * The factor by which processor time of this thread grows when the size doubles, on the average of all doublings: 2 for
 * linear work, 4 for quadratic. Infinity when a size takes more than five seconds.
 */
export async function growth(run: (size: number) => unknown, options: GrowthOptions): Promise<number> {
  const first = await measure(run, options)
  // What others did to the caches does not come twice.
  return first < 2.3 ? first : Math.min(first, await measure(run, options))
}

async function measure(
  run: (size: number) => unknown,
  { from, to, runs = 4, floorMs = 20 }: GrowthOptions,
): Promise<number> {
  const times: number[] = []
  for (let size = from; size <= to; size *= 2) {
    let best = Number.POSITIVE_INFINITY
    for (let i = 0; i < runs; i++) {
      const started = process.threadCpuUsage()
      await run(size)
      const { user, system } = process.threadCpuUsage(started)
      best = Math.min(best, (user + system) / 1000)
      if (best > 5000) return Number.POSITIVE_INFINITY
    }
    times.push(best)
  }
  const [first, last] = [times[0]!, times.at(-1)!]
  return (Math.max(last, floorMs) / Math.max(first, floorMs)) ** (1 / (times.length - 1))
}
