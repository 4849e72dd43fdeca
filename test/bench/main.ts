// Runs the benches one after another: `npm run bench [-- name …]`. Each figure stands beside a peer of the same run.
import { cpus } from 'node:os'
import { toText } from './figure.ts'
import { benches } from './table.ts'

const names = process.argv.slice(2)
const scale = Number(process.env.MADSCI_BENCH_SCALE ?? 1)
for (const name of names) {
  if (!Object.hasOwn(benches, name)) {
    console.error(`'${name}' is no bench; there are: ${Object.keys(benches).join(', ')}`)
    process.exit(2)
  }
}
console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}\n`)
for (const [name, bench] of Object.entries(benches)) {
  if (names.length > 0 && !names.includes(name)) continue
  console.log(`${name}: ${toText(await bench.run(scale))}`)
}
