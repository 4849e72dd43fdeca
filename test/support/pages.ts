import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'receiver/dist/pages')
const lock = `${folder}.lock`
const patienceMs = 60_000

/** Builds the pages as `npm ci` does, where they are older than what they are made of; `ifAbsent` leaves those that are there. */
export function buildPages({ ifAbsent = false } = {}): string {
  if (ifAbsent && existsSync(join(folder, 'index.html'))) return folder
  takeLock()
  try {
    if (isFresh()) return folder
    const vite = join(root, 'node_modules/vite/bin/vite.js')
    execFileSync(process.execPath, [vite, 'build', '--logLevel', 'warn'], { cwd: join(root, 'receiver') })
    return folder
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

/** Of tests that run beside each other one builds, and the others wait for it. One that was killed is not waited for without end. */
function takeLock(): void {
  mkdirSync(join(root, 'receiver/dist'), { recursive: true })
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      mkdirSync(lock)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || performance.now() > deadline) return
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  }
}

function isFresh(): boolean {
  const index = join(folder, 'index.html')
  if (!existsSync(index)) return false
  const builtMs = statSync(index).mtimeMs
  const isOlder = (path: string) => statSync(join(root, path)).mtimeMs < builtMs
  return (
    ['package-lock.json', 'receiver/package.json', 'receiver/vite.config.ts'].every(isOlder) &&
    ['receiver/pages', 'receiver/src', 'sdk/src'].every((sources) =>
      ['', ...readdirSync(join(root, sources), { recursive: true, encoding: 'utf8' })].every((name) =>
        isOlder(join(sources, name)),
      ),
    )
  )
}
