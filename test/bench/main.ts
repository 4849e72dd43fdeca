// Runs the benches one after another: `npm run bench [-- name …]`. Each figure stands beside a peer of the same run.
// With `--against REF` each is compared with the one of an older commit: exit code 1 when something became worse.
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compareBench, leastPairs, toComparisonText } from './compare.ts'
import { toText } from './figure.ts'
import { benches } from './table.ts'

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: 'string' },
    pairs: { type: 'string', default: String(leastPairs) },
    // Percent.
    bound: { type: 'string', default: '5' },
  },
})
const fail = (message: string): never => {
  console.error(message)
  process.exit(2)
}
const scale = Number(process.env.MADSCI_BENCH_SCALE ?? 1)
for (const name of names) {
  if (!Object.hasOwn(benches, name))
    fail(`'${name}' is no bench; there are: ${Object.keys(benches).join(', ')}`)
}
console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}\n`)
if (values.against === undefined) await runAll()
else await compareAll(values.against)

async function runAll(): Promise<void> {
  for (const [name, bench] of Object.entries(benches)) {
    if (names.length > 0 && !names.includes(name)) continue
    console.log(`${name}: ${toText(await bench.run(scale, (line) => console.error(line)))}`)
  }
}

async function compareAll(reference: string): Promise<void> {
  const pairs = Number(values.pairs)
  const bound = Number(values.bound) / 100
  if (names.length === 0) fail('--against needs the name of at least one bench')
  if (!(Number.isInteger(pairs) && pairs >= leastPairs)) fail(`--pairs must be at least ${leastPairs}`)
  if (!(bound > 0 && bound < 1)) fail('--bound must be a percentage between 0 and 100')
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => stopping.abort(new Error(`ended by ${signal}`)))
  const root = join(import.meta.dirname, '../..')
  try {
    for (const name of names) {
      const options = { root, reference, name, pairs, bound, scale, signal: stopping.signal }
      const comparisons = await compareBench({ ...options, print: (line) => console.log(line) })
      console.log(toComparisonText(comparisons, bound))
      if (comparisons.length === 0) fail(`the two sides of ${name} have no figure in common`)
      if (comparisons.some(({ verdict }) => verdict === 'worse')) process.exitCode = 1
    }
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = stopping.signal.aborted ? 130 : 2
  }
}
