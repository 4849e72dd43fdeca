// Builds the pages when the project is installed; an installation without tools (--omit=dev) has none.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findVite() {
  try {
    return dirname(createRequire(import.meta.url).resolve('vite/package.json'))
  } catch {
    return undefined
  }
}

const vite = findVite()
if (vite === undefined) console.log('the pages are not built: vite is not installed')
else {
  const { status } = spawnSync(process.execPath, [join(vite, 'bin/vite.js'), 'build', '--logLevel', 'warn'], {
    cwd: dirname(fileURLToPath(import.meta.url)),
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
}
