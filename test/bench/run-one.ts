// Runs one bench of a checkout and writes its report as JSON into a file: `run-one.ts ROOT NAME SCALE FILE`.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Bench } from './figure.ts'

const [root, name, scale, file] = process.argv.slice(2) as [string, string, string, string]
const table = await import(pathToFileURL(join(root, 'test/bench/table.ts')).href)
const bench = (table.benches as { [name: string]: Bench })[name]
if (!bench) throw new Error(`there is no bench '${name}' in ${root}`)
await writeFile(file, JSON.stringify(await bench.run(Number(scale))))
process.exit(0)
