import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** An older commit in a folder of its own, ready to run. */
export interface Checkout {
  root: string
  /** Short hash and subject. */
  title: string
  /** Files of the bench and of what it stands on that differ: the two sides may not do the same work. */
  differing(name: string): Promise<string[]>
  /** What the benches may use as temporary folder; it goes with the checkout. */
  temporary: string
  remove(): Promise<void>
}

const run = promisify(execFile)

/** Throws when `reference` names no commit of the repository at `root`. */
export async function createCheckout(root: string, reference: string): Promise<Checkout> {
  const git = async (...args: string[]) =>
    (await run('git', ['-C', root, '-c', 'core.hooksPath=/dev/null', ...args])).stdout.trim()
  const commit = await git('rev-parse', '--verify', '--quiet', `${reference}^{commit}`).catch(() => {
    throw new Error(`'${reference}' is no commit of this repository`)
  })
  const title = await git('log', '-1', '--format=%h %s', commit)
  const folder = await mkdtemp(join(tmpdir(), 'madsci-against-'))
  const old = join(folder, 'old')
  const temporary = await mkdtemp(join(folder, 'tmp-'))
  const remove = async () => {
    await git('worktree', 'remove', '--force', old).catch(() => '')
    await rm(folder, { recursive: true, force: true })
    await git('worktree', 'prune')
  }
  try {
    await git('worktree', 'add', '--detach', old, commit)
    await install(root, old)
  } catch (error) {
    await remove()
    throw error
  }
  const differing = async (name: string) => {
    const files = await git('diff', '--name-only', commit, '--', `test/bench/${name}.ts`, 'test/support')
    return files === '' ? [] : files.split('\n')
  }
  return { root: old, title, differing, temporary, remove }
}

/** The packages that stand beside `root` already, when the lock file is the same; else those of the older lock file. */
async function install(root: string, old: string): Promise<void> {
  const [ours, theirs] = await Promise.all([root, old].map(readLock))
  if (ours !== theirs) {
    await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: old, maxBuffer: 1 << 26 })
    return
  }
  for (const place of ['', 'sdk', 'receiver', 'test']) {
    const [from, to] = [root, old].map((one) => join(one, place, 'node_modules')) as [string, string]
    if (!existsSync(from)) continue
    // Hard links take no time and no room; on another file system, copies.
    await run('cp', ['-al', from, to]).catch(async () => {
      await rm(to, { recursive: true, force: true })
      await run('cp', ['-a', from, to])
    })
  }
}

const readLock = (folder: string) => readFile(join(folder, 'package-lock.json'), 'utf8').catch(() => '')
