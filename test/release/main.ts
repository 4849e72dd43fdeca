// Makes a release: checks, packs, writes the changelog, commits it and tags. npm run release -- [--dry-run]
// `--dry-run` does all of it but the changelog, the commit and the tag. Nothing is pushed and nothing is published.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readCommits, toChangelog, writeChangelog } from './changelog.ts'

const root = join(import.meta.dirname, '../..')
const isDry = process.argv.includes('--dry-run')

const run = (command: string, ...args: string[]) => {
  console.log(`> ${command} ${args.join(' ')}`)
  execFileSync(command, args, { cwd: root, stdio: 'inherit' })
}
const ask = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
const versionOf = (folder: string) =>
  (JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as { version: string }).version

function stop(reason: string): never {
  console.error(`no release: ${reason}`)
  process.exit(1)
}

const version = versionOf('.')
const tag = `v${version}`
for (const folder of ['sdk', 'receiver'])
  if (versionOf(folder) !== version)
    stop(`${folder}/package.json is version ${versionOf(folder)}, package.json ${version}`)
if (ask('tag', '--list', tag) !== '') stop(`${tag} is there already: change the versions first`)
if (!isDry && ask('status', '--porcelain') !== '') stop('there are changes that are not committed')

const archives = join(root, 'node_modules/.cache/release')
mkdirSync(archives, { recursive: true })
run('npm', 'run', 'check')
run('npm', 'run', 'build')
run('npm', 'pack', '-w', 'sdk', '-w', 'receiver', '--pack-destination', archives)
run('npm', 'run', 'test:all', '--', 'test/sdk/pack.long.test.ts', 'test/receiver/pack.long.test.ts')
if (isDry) {
  const lines = toChangelog(readCommits(), version).split('\n').length
  console.log(`dry run: CHANGELOG.md would have ${lines} lines, and the tag would be ${tag}`)
} else {
  writeChangelog(`${version} (${new Date().toISOString().slice(0, 10)})`)
  run('git', 'add', 'CHANGELOG.md')
  run('git', 'commit', '-m', `build: release ${version}`)
  run('git', 'tag', '-a', tag, '-m', `madsci-events ${version}`)
}
console.log(`the packages are in ${archives}`)
