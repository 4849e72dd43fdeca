// Builds the pages when the project is installed; an installation without tools (--omit=dev) has none.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function folderOf(name) {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
  } catch {
    return undefined
  }
}

// The shell's Node may be older than vite needs.
const own = folderOf('node')
const node = own !== undefined && existsSync(join(own, 'bin/node')) ? join(own, 'bin/node') : process.execPath
const vite = folderOf('vite')
if (vite === undefined) console.log('the pages are not built: vite is not installed')
else {
  const { status } = spawnSync(node, [join(vite, 'bin/vite.js'), 'build', '--logLevel', 'warn'], {
    cwd: dirname(fileURLToPath(import.meta.url)),
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
}
