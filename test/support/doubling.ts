export interface GrowthOptions {
  from: number
  /** Sizes go from `from` to here, each twice the one before. */
  to: number
  /** Runs of a size at most; the quickest counts, because others share the machine. */
  runs?: number
  /** Times below so many ms count as so many: they measure the machine. */
  floorMs?: number
}

/** A factor below this one needs no second look. */
const linear = 2.3
const endlessMs = 5000

/**
 * The factor by which processor time of this thread grows when the size doubles, on the average of all doublings: 2 for
 * linear work, 4 for quadratic. Infinity when a size takes more than five seconds. Where it is below 2.3 it may be less than
 * what is said: a size is run again only as long as the answer hangs on it.
 */
export async function growth(run: (size: number) => unknown, options: GrowthOptions): Promise<number> {
  const first = await measure(run, options)
  // What others did to the caches does not come twice.
  return first < linear ? first : Math.min(first, await measure(run, options))
}

async function measure(
  run: (size: number) => unknown,
  { from, to, runs = 4, floorMs = 20 }: GrowthOptions,
): Promise<number> {
  const quickest = async (size: number, enoughMs: number) => {
    let best = Number.POSITIVE_INFINITY
    for (let i = 0; i < runs && best > enoughMs; i++) {
      const started = process.threadCpuUsage()
      await run(size)
      const { user, system } = process.threadCpuUsage(started)
      best = Math.min(best, (user + system) / 1000)
    }
    return best
  }
  const doublings = Math.floor(Math.log2(to / from))
  // The sizes between: work that never ends is noticed before the largest begins.
  for (let k = 0; k < doublings; k++)
    if ((await quickest(from * 2 ** k, endlessMs)) > endlessMs) return Number.POSITIVE_INFINITY
  // So long may the largest take, however little the smallest does.
  const enoughMs = Math.min(endlessMs, floorMs * linear ** doublings)
  const last = await quickest(from * 2 ** doublings, enoughMs)
  if (last > endlessMs) return Number.POSITIVE_INFINITY
  const first = last < enoughMs ? floorMs : await quickest(from, 0)
  return (Math.max(last, floorMs) / Math.max(first, floorMs)) ** (1 / doublings)
}
