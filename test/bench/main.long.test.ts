import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const main = ['--conditions=madsci-events-source', join(import.meta.dirname, 'main.ts')]
const worktrees = () => execFileSync('git', ['-C', root, 'worktree', 'list'], { encoding: 'utf8' })
const isRepository = (() => {
  try {
    return worktrees() !== ''
  } catch {
    return false
  }
})()

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-main-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const environment = () => ({ ...process.env, TMPDIR: folder, MADSCI_BENCH_SCALE: '0.01' })

function run(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...main, ...args], { env: environment() }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    )
  })
}

describe('npm run bench', () => {
  it('refuses what it cannot compare', async () => {
    expect(await run('nothing')).toMatchObject({ code: 2 })
    expect(await run('--against', 'HEAD')).toMatchObject({ code: 2 })
    expect(await run('--against', 'HEAD', '--pairs=6', 'null-store')).toMatchObject({ code: 2 })
    expect(await run('--against', 'HEAD', '--bound=x', 'null-store')).toMatchObject({ code: 2 })
  })

  it('compares the working tree with a commit', async (context) => {
    if (!isRepository) return context.skip('this is no checkout of git')
    const { code, output } = await run('--against', 'HEAD', '--bound=99', 'null-store')
    expect(output).toMatch(/(same|better) +receiver, null store .* events\/s +new\/old \d\.\d+ \(90 %: /)
    expect(output).toContain('pair 7 of 7')
    expect(code).toBe(0)
    expect(worktrees()).not.toContain(folder)
    expect(await readdir(folder)).toEqual([])
  })

  it('removes its worktree and ends what it started when it is interrupted', async (context) => {
    if (!isRepository) return context.skip('this is no checkout of git')
    const child: ChildProcess = spawn(process.execPath, [...main, '--against', 'HEAD', 'null-store'], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout!.on('data', (chunk) => {
      output += chunk
    })
    const exited = once(child, 'exit')
    while (!output.includes('pair 1 of 7')) await new Promise((resolve) => setTimeout(resolve, 50))
    expect(worktrees()).toContain(folder)
    child.kill('SIGINT')
    expect(await exited).toEqual([130, null])
    expect(worktrees()).not.toContain(folder)
    expect(await readdir(folder)).toEqual([])
  })
})
