import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { emissions, type Release } from '../../receiver/src/utilization/timeline/emission.ts'
import { findPython } from '../support/python.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The newest of each release line. */
const versions: { [release in Release]: string } = {
  '0.5': '0.5.4',
  '0.6': '0.6.1',
  '0.7': '0.7.1',
  '0.8': '0.8.1',
}
const packages = [
  'client',
  'common',
  'node_module',
  'squid',
  'workcell_manager',
  'experiment_manager',
  'resource_manager',
  'data_manager',
  'location_manager',
  'experiment_application',
]

/** Since 0.6. */
const laterPackages = ['squid', 'location_manager']

type Told = [program: string, type: string, message: string | null]

describe('the table of what MADSci says, beside the sources of its programs', () => {
  for (const release of Object.keys(versions) as Release[]) {
    const version = versions[release]
    it(`has every event of ${version} that speaks of one of its things, and no other`, async (context) => {
      const found = findPython({ name: 'plain', packages: ['pip'], check: 'import pip' })
      if ('skip' in found) return context.skip(found.skip)
      const folder = await mkdtemp(join(tmpdir(), 'madsci-sources-'))
      cleanups.push(() => rm(folder, { recursive: true, force: true }))
      const wanted = packages
        .filter((name) => release !== '0.5' || !laterPackages.includes(name))
        .map((name) => `madsci.${name}==${version}`)
      const pip = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--retries', '1', '--no-deps']
      const installed = spawnSync(found.python, [...pip, '--target', folder, ...wanted], { encoding: 'utf8' })
      if (installed.status !== 0)
        return context.skip(`pip could not fetch ${version}: ${installed.stderr.slice(-200)}`)
      const scan = spawnSync(
        found.python,
        [join(import.meta.dirname, '../support/lab/emissions.py'), folder],
        {
          encoding: 'utf8',
        },
      )
      const told = JSON.parse(scan.stdout) as Told[]
      const rows = emissions.filter(({ releases }) => releases.includes(release))
      const isWritten = (row: (typeof rows)[number]) =>
        told.some(
          ([program, type, message]) =>
            program === row.package && message === row.message && (type === row.type || type === '?'),
        )
      expect(rows.filter((row) => !isWritten(row))).toEqual([])
      const isKnown = ([program, type, message]: Told) =>
        rows.some(
          (row) => row.package === program && row.message === message && (row.type === type || type === '?'),
        )
      expect(told.filter((one) => one[1] !== '?' && !isKnown(one))).toEqual([])
      expect(told.length).toBeGreaterThan(10)
    })
  }
})
