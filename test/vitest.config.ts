import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

const conditions = ['madsci-events-source', 'node', 'import', 'module', 'default']
const temporary = mkdtempSync(join(tmpdir(), 'madsci-test-'))
// The spools of the tests' programs; the user's own are none of their business.
process.env.MADSCI_SPOOL_DIR = join(temporary, 'spool')
// Hundreds of processes and threads load the same sources: each would strip their types and compile them anew.
process.env.NODE_COMPILE_CACHE ??= join(temporary, 'compiled')
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }))
// `npm test -- FILE` runs a long test too, when the file is named.
const isLongNamed =
  process.argv.some((argument) => /^(--project=)?quick/.test(argument)) &&
  process.argv.some((argument) => argument.endsWith('.long.test.ts'))
const longTimeout = 600_000

// The SDK lives in the process of others, with what is global there; the others of the list measure the memory of their process.
const alone = [
  'sdk/**/*.test.ts',
  'receiver/http/logs.test.ts',
  'receiver/otlp/whole-double.test.ts',
  'receiver/transfer/import.test.ts',
  'receiver/utilization/report-memory.test.ts',
]
// Long ones that judge neither time nor memory, and neither pack the SDK nor use Docker: two at a time.
const paired = [
  'collector',
  'conformance',
  'fault/{alert-kill,descriptor,kill,replica-set,sdk-kill,sdk-process}',
  'peer/{browser,dotenv,emission,fuzz,old-client,otlp,pass-on,python-client,rest,sdk,settings,takeover,timeline,trace,utilization}',
  'receiver/{fanout/fanout,telemetry}',
  'receiver/http/{around,export,large-answer,selector,summary}',
  'receiver/store/**/{connection,posting.property,protocol,selector-equivalence.property,summary.property}',
  'sdk/{log-kill,pino/transport,spool/owner}',
].map((name) => (name.includes('/') ? `${name}.long.test.ts` : `${name}/*.long.test.ts`))
const installed = '**/node_modules/**'
const long = '**/*.long.test.ts'

function project(name: string, test: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return {
    resolve: { conditions },
    ssr: { resolve: { conditions, externalConditions: conditions } },
    test: {
      pool: 'forks',
      // See receiver/bin/node-flags.js.
      execArgv: ['--no-memory-protection-keys'],
      env: {
        MADSCI_SPOOL_DIR: process.env.MADSCI_SPOOL_DIR!,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE!,
      },
      hookTimeout: 120_000,
      // Of a second, a busy machine makes nothing.
      expect: { poll: { timeout: 15_000 } },
      name,
      ...test,
    },
  }
}

const quick = {
  testTimeout: isLongNamed ? longTimeout : 30_000,
  // More than there are cores: many wait.
  maxWorkers: 3,
}
const quickExcluded = [...(isLongNamed ? [] : [long]), installed]

// quick*: `npm test`, under five minutes. long*: many kill cycles, peers, containers; with `npm run test:all`.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    reporters: ['default', './support/reporter.ts'],
    projects: [
      // Files of one project share their processes: what they load is loaded once.
      project('quick', {
        ...quick,
        isolate: false,
        include: ['**/*.test.ts'],
        exclude: [...quickExcluded, ...alone],
      }),
      project('quick-alone', { ...quick, include: alone, exclude: quickExcluded }),
      project('long', {
        include: [long],
        exclude: [installed, ...paired],
        testTimeout: longTimeout,
        fileParallelism: false,
        maxConcurrency: 2,
        sequence: { groupOrder: 2 },
      }),
      project('long-paired', {
        include: paired,
        exclude: [installed],
        testTimeout: longTimeout,
        maxWorkers: 2,
        maxConcurrency: 2,
        sequence: { groupOrder: 1 },
      }),
    ],
  },
})
