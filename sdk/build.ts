import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * Builds the package twice from the same sources: dist/esm for `import`, dist/cjs for `require`, each with its types.
 * Node takes dist/cjs for CommonJS because of the package.json that is written there.
 */
const dist = join(import.meta.dirname, 'dist')
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')

rmSync(dist, { recursive: true, force: true })
for (const project of ['tsconfig.json', 'tsconfig.cjs.json']) {
  const { status } = spawnSync(process.execPath, [tsc, '-b', project], {
    cwd: import.meta.dirname,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}
writeFileSync(join(dist, 'cjs/package.json'), '{ "type": "commonjs" }\n')

// tsc rewrites `./x.ts` to `./x.js` in the code but not in the types, where not every TypeScript can follow it.
for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.d.ts')) continue
  const file = join(dist, name)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(["'])(\.\.?\/[^"']+)\.ts\1/g, '$1$2.js$1'))
}
