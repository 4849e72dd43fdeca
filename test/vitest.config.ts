import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

const conditions = ['madsci-events-source', 'node', 'import', 'module', 'default']
// The spools of the tests' programs; the user's own are none of their business.
process.env.MADSCI_SPOOL_DIR = mkdtempSync(join(tmpdir(), 'madsci-spool-'))
process.on('exit', () => rmSync(process.env.MADSCI_SPOOL_DIR!, { recursive: true, force: true }))
// `npm test -- FILE` runs a long test too, when the file is named.
const isLongNamed =
  process.argv.includes('quick') && process.argv.some((argument) => argument.endsWith('.long.test.ts'))
const longTimeout = 600_000
const shared = {
  pool: 'forks' as const,
  // See receiver/bin/node-flags.js.
  execArgv: ['--no-memory-protection-keys'],
  env: { MADSCI_SPOOL_DIR: process.env.MADSCI_SPOOL_DIR },
  testTimeout: 30_000,
  hookTimeout: 120_000,
}

// quick: `npm test`, under five minutes. long: many kill cycles, peers, containers; with `npm run test:all`.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    reporters: ['default', './support/reporter.ts'],
    maxWorkers: 2,
    projects: [
      {
        resolve: { conditions },
        ssr: { resolve: { conditions, externalConditions: conditions } },
        test: {
          ...shared,
          name: 'quick',
          include: ['**/*.test.ts'],
          exclude: [...(isLongNamed ? [] : ['**/*.long.test.ts']), '**/node_modules/**'],
          testTimeout: isLongNamed ? longTimeout : shared.testTimeout,
        },
      },
      {
        resolve: { conditions },
        ssr: { resolve: { conditions, externalConditions: conditions } },
        test: {
          ...shared,
          name: 'long',
          include: ['**/*.long.test.ts'],
          exclude: ['**/node_modules/**'],
          testTimeout: longTimeout,
          fileParallelism: false,
          maxConcurrency: 2,
        },
      },
    ],
  },
})
