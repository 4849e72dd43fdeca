// Mutates a room that carries promises, runs its tests, and prints the mutations that survive:
// npm run mutate -- ROOM [--number=20] [--seed=1]. It changes the file in place, and puts it back after each run.
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { mutationsOf } from './mutation.ts'

const root = join(import.meta.dirname, '../..')
/** Of each room the sources, and the tests that must notice. */
const rooms: { [name: string]: { sources: string[]; tests: string[] } } = {
  ingest: { sources: ['receiver/src/ingest/*.ts'], tests: ['test/receiver/ingest', 'test/receiver/http'] },
  sqlite: { sources: ['receiver/src/store/sqlite/*.ts'], tests: ['test/receiver/store/sqlite'] },
  mongo: { sources: ['receiver/src/store/mongo/*.ts'], tests: ['test/receiver/store/mongo'] },
  otlp: {
    sources: ['receiver/src/otlp/*.ts'],
    tests: ['test/receiver/otlp', 'test/receiver/http/logs.test.ts'],
  },
  spool: {
    sources: ['sdk/src/spool/*.ts', 'sdk/src/sender.ts'],
    tests: ['test/sdk/spool', 'test/sdk/sender.test.ts'],
  },
  fanout: {
    sources: ['receiver/src/fanout/forwarder.ts', 'receiver/src/fanout/checkpoint.ts'],
    tests: ['test/receiver/fanout/forwarder.test.ts', 'test/receiver/fanout/send.test.ts'],
  },
  alert: { sources: ['receiver/src/alert/*.ts'], tests: ['test/receiver/alert'] },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { number: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
})
const room = rooms[positionals[0] ?? '']
if (!room) {
  console.error(`npm run mutate -- ${Object.keys(rooms).join('|')} [--number=20] [--seed=1]`)
  process.exit(2)
}
const files = room.sources.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()
if (execFileSync('git', ['status', '--porcelain', '--', ...files], { cwd: root, encoding: 'utf8' }) !== '') {
  console.error('these sources have changes that are not committed')
  process.exit(1)
}

let state = Number(values.seed) >>> 0
/** Below `bound`; the same for the same seed. Source: Numerical Recipes, a linear congruential generator. */
function random(bound: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * bound)
}

// The child is interrupted by the same ctrl-C; then the file is put back and no other is changed.
let isStopped = false
process.on('SIGINT', () => {
  isStopped = true
})
/** True when the tests pass. A mutation that makes them hang counts as noticed. */
const passes = () =>
  spawnSync(
    'vitest',
    ['run', '--config', 'test/vitest.config.ts', '--project', 'quick*', '--bail=1', ...room.tests],
    {
      cwd: root,
      stdio: 'ignore',
      timeout: 300_000,
    },
  ).status === 0

if (!passes()) {
  console.error('the tests fail without any mutation')
  process.exit(1)
}
let survivors = 0
const count = Number(values.number)
const all = files.flatMap((file) =>
  mutationsOf(readFileSync(join(root, file), 'utf8')).map((one) => ({ file, ...one })),
)
for (let i = 0; i < count && all.length > 0 && !isStopped; i++) {
  const [{ file, start, end, text }] = all.splice(random(all.length), 1) as [(typeof all)[number]]
  const path = join(root, file)
  const source = readFileSync(path, 'utf8')
  let survived = false
  try {
    writeFileSync(path, source.slice(0, start) + text + source.slice(end))
    survived = passes()
  } finally {
    writeFileSync(path, source)
  }
  const line = source.slice(0, start).split('\n').length
  if (survived) survivors++
  console.log(
    `${survived ? 'SURVIVED' : 'killed  '} ${file}:${line}  ${source.slice(start, end)}  →  ${text || '(nothing)'}`,
  )
  // Lets a signal be heard.
  await new Promise((resolve) => setImmediate(resolve))
}
console.log(`${survivors} survived`)
