// What does the SDK add to a program: packages, bytes on the disk, and the time of its import, beside its peers?
import { spawnSync } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPackedProject, type PackedProject } from '../support/packed-sdk.ts'
import { type Bench, createReport, median } from './figure.ts'

interface Guest {
  name: string
  /** As for `npm install`; the packed SDK is put in the place of `packed`. */
  packages: string[]
  imports: string[]
}

const ours = '@madsci-events/sdk'
const guests: Guest[] = [
  { name: ours, packages: ['packed'], imports: [ours] },
  { name: `${ours}/pino with pino`, packages: ['packed', 'pino'], imports: [`${ours}/pino`, 'pino'] },
  {
    name: 'pino-opentelemetry-transport with pino',
    packages: ['pino-opentelemetry-transport', 'pino'],
    imports: ['pino-opentelemetry-transport', 'pino'],
  },
  {
    name: '@opentelemetry/sdk-node',
    packages: ['@opentelemetry/api', '@opentelemetry/sdk-node'],
    imports: ['@opentelemetry/sdk-node'],
  },
]

export const installBench: Bench = {
  question: 'what the SDK adds to a program, beside its peers from the npm registry',
  async run(scale) {
    const report = createReport(this.question)
    const project = createPackedProject()
    try {
      const installed = guests.flatMap((guest, number) => {
        const folder = join(project.path, String(number))
        const problem = install(guest, project, folder)
        if (problem === undefined) return [{ guest, folder }]
        report.skipped.push(`${guest.name}: ${problem}`)
        return []
      })
      const cost = new Map(installed.map(({ guest }) => [guest, [] as number[]]))
      // In turns, so that the machine's moods meet all of them.
      for (let round = 0; round < Math.max(1, Math.round(15 * scale)); round++)
        for (const { guest, folder } of installed) cost.get(guest)!.push(importCost(guest, folder))
      for (const { guest, folder } of installed) {
        const { bytes, packages } = measure(join(folder, 'node_modules'))
        report.note(`${guest.name}: packages`, packages, '')
        report.note(`${guest.name}: on the disk`, bytes / 1e6, 'MB')
        report.note(`${guest.name}: import, processor`, median(cost.get(guest)!), 'ms')
      }
      return report
    } finally {
      project.remove()
    }
  },
}

/** Why it cannot be installed. */
function install(guest: Guest, project: PackedProject, folder: string): string | undefined {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{"name":"lab","private":true,"type":"module"}')
  const packages = guest.packages.map((name) => (name === 'packed' ? project.archive : name))
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  const { status, stderr } = spawnSync('npm', ['install', ...quiet, ...packages], {
    cwd: folder,
    encoding: 'utf8',
  })
  return status === 0 ? undefined : `npm install: ${stderr.trim().split('\n')[0]}`
}

/** Milliseconds of processor time of the imports in a new process, less what an empty one has spent before. */
function importCost({ imports }: Guest, folder: string): number {
  const program = `const before = process.cpuUsage()
    for (const name of ${JSON.stringify(imports)}) await import(name)
    const { user, system } = process.cpuUsage(before)
    console.log((user + system) / 1000)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
    encoding: 'utf8',
  })
  const cost = Number(stdout.trim())
  if (!(cost > 0)) throw new Error(stderr)
  return cost
}

/** Bytes of the files below, and how many packages they are. */
function measure(folder: string): { bytes: number; packages: number } {
  let [bytes, packages] = [0, 0]
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = lstatSync(join(folder, path))
    if (stat.isFile()) bytes += stat.size
    if (/(^|node_modules\/)(@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path)) packages++
  }
  return { bytes, packages }
}
