import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createCheckout } from './checkout.ts'
import type { Report } from './figure.ts'
import { type MedianInterval, medianInterval } from './interval.ts'

export interface CompareOptions {
  /** The repository whose working tree is the new side. */
  root: string
  /** The old side: a commit, a branch, a tag. */
  reference: string
  name: string
  /** At least seven. */
  pairs: number
  /** A loss below this share of the old figure does not count: 0.05. */
  bound: number
  scale: number
  /** Ends the comparison; the checkout is removed. */
  signal: AbortSignal
  print(line: string): void
}

/** One figure of both sides. */
export interface Comparison {
  what: string
  unit: string
  old: number
  new: number
  /** New divided by old, of the pairs. */
  ratio: MedianInterval
  verdict: 'better' | 'same' | 'worse' | 'not judged'
}

export const leastPairs = 7
const coverage = 0.9
const killMs = 15_000

/** Runs a bench of the working tree and of an older commit in turns: old, new, new, old, … Each run is a process of its own. */
export async function compareBench(options: CompareOptions): Promise<Comparison[]> {
  const { root, reference, name, pairs, bound, scale, signal, print } = options
  const checkout = await createCheckout(root, reference)
  try {
    print(`${name}: the working tree against ${checkout.title}`)
    const differing = await checkout.differing(name)
    if (differing.length > 0)
      print(`  each side runs its own bench, and these files differ: ${differing.join(', ')}`)
    const sides: { [side in 'old' | 'new']: Report[] } = { old: [], new: [] }
    for (let pair = 0; pair < pairs; pair++) {
      for (const side of pair % 2 === 0 ? (['old', 'new'] as const) : (['new', 'old'] as const)) {
        signal.throwIfAborted()
        const one = { root: side === 'old' ? checkout.root : root, name, scale, signal }
        sides[side].push(await runOne(one, checkout.temporary))
      }
      print(`  pair ${pair + 1} of ${pairs}`)
    }
    return compareReports(sides.old, sides.new, bound)
  } finally {
    await checkout.remove()
  }
}

async function runOne(
  { root, name, scale, signal }: Pick<CompareOptions, 'root' | 'name' | 'scale' | 'signal'>,
  temporary: string,
): Promise<Report> {
  const file = join(temporary, 'report.json')
  const args = ['--conditions=madsci-events-source', join(import.meta.dirname, 'run-one.ts')]
  const child = spawn(process.execPath, [...args, root, name, String(scale), file], {
    cwd: root,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'ignore', 'pipe'],
    // A group of its own: what the bench started ends with it.
    detached: true,
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr = (stderr + chunk).slice(-10_000)
  })
  const end = () => endGroup(child)
  signal.addEventListener('abort', end)
  try {
    const [code] = await once(child, 'close')
    signal.throwIfAborted()
    if (code !== 0) throw new Error(`the bench '${name}' of ${root} failed:\n${stderr}`)
    return JSON.parse(await readFile(file, 'utf8'))
  } finally {
    signal.removeEventListener('abort', end)
    await rm(file, { force: true })
  }
}

/** SIGTERM to all that the bench started, and SIGKILL to what is then still there. */
function endGroup({ pid }: ChildProcess): void {
  const kill = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid!, signal)
    } catch {
      // it has ended
    }
  }
  kill('SIGTERM')
  setTimeout(kill, killMs, 'SIGKILL').unref()
}

/** Which way a unit is better; undefined for those of which nobody knows. */
function directionOf(unit: string): 'most' | 'least' | undefined {
  if (/\/s$/.test(unit)) return 'least'
  return /^(ns|µs|ms|s|KiB|MiB|GiB|kB|MB|GB)( |$)/.test(unit) ? 'most' : undefined
}

interface Measured {
  value: number
  unit: string
  /** 'least': more is better, as in a Verdict. */
  kind: 'least' | 'most' | undefined
}

function toTable({ figures, verdicts }: Report): Map<string, Measured & { what: string }> {
  const table = new Map<string, Measured & { what: string }>()
  for (const { what, value, unit } of figures)
    table.set(`${what} ${unit}`, { what, value, unit, kind: directionOf(unit) })
  for (const { what, ratio, kind } of verdicts)
    table.set(`${what} ratio`, { what, value: ratio, unit: 'ratio', kind })
  return table
}

/** The figures that every run of both sides has; the n-th reports of both sides are a pair. */
export function compareReports(
  old: readonly Report[],
  young: readonly Report[],
  bound: number,
): Comparison[] {
  const [olds, news] = [old.map(toTable), young.map(toTable)]
  return [...(olds[0]?.entries() ?? [])].flatMap(([key, { what, unit, kind }]) => {
    const valuesOf = (tables: typeof olds) => tables.map((table) => table.get(key)?.value ?? Number.NaN)
    const [before, after] = [valuesOf(olds), valuesOf(news)]
    const ratios = after.map((value, pair) => value / before[pair]!)
    if (!ratios.every((ratio) => Number.isFinite(ratio) && ratio > 0)) return []
    const ratio = medianInterval(ratios, coverage)
    const medianOf = (list: number[]) => medianInterval(list, coverage).median
    return {
      what,
      unit,
      old: medianOf(before),
      new: medianOf(after),
      ratio,
      verdict: judge(ratio, kind, bound),
    }
  })
}

/** A loss and a gain count when the whole interval lies beyond the bound. */
function judge({ low, high }: MedianInterval, kind: Measured['kind'], bound: number): Comparison['verdict'] {
  if (kind === undefined) return 'not judged'
  const [isBelow, isAbove] = [high < 1 - bound, low > 1 + bound]
  if (kind === 'least' ? isBelow : isAbove) return 'worse'
  return (kind === 'least' ? isAbove : isBelow) ? 'better' : 'same'
}

export function toComparisonText(comparisons: readonly Comparison[], bound: number): string {
  const round = (value: number) =>
    value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
  const lines = comparisons.map(({ what, unit, old, new: young, ratio, verdict }) => {
    const interval = `${ratio.low.toFixed(3)} to ${ratio.high.toFixed(3)}`
    const sides = `${round(old)} → ${round(young)} ${unit}`
    return `  ${verdict.padEnd(10)}  ${what.padEnd(58)} ${sides.padEnd(34)} new/old ${ratio.median.toFixed(3)} (90 %: ${interval})`
  })
  const worse = comparisons.filter(({ verdict }) => verdict === 'worse').length
  const percent = `${Number((bound * 100).toFixed(2))} %`
  lines.push(
    worse === 0 ? `  nothing is worse by more than ${percent}` : `  ${worse} worse by more than ${percent}`,
  )
  return `${lines.join('\n')}\n`
}
