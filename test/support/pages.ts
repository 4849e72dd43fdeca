import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Builds the pages as `npm ci` does; `ifAbsent` leaves those that are there. */
export function buildPages({ ifAbsent = false } = {}): string {
  const folder = join(root, 'receiver/dist/pages')
  if (ifAbsent && existsSync(join(folder, 'index.html'))) return folder
  const vite = join(root, 'node_modules/vite/bin/vite.js')
  execFileSync(process.execPath, [vite, 'build', '--logLevel', 'warn'], { cwd: join(root, 'receiver') })
  return folder
}
