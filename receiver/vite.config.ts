import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { defineConfig } from 'vite'

const outDir = join(import.meta.dirname, 'dist/pages')
/** Of all files together, compressed. The goal is 60,000. */
const maxGzipBytes = 80_000

/** The pages: files with a hash in their name, and each compressed beside it. */
export default defineConfig({
  root: join(import.meta.dirname, 'pages'),
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir,
    emptyOutDir: true,
    target: ['es2022', 'firefox128'],
    modulePreload: false,
    reportCompressedSize: false,
    // A data: URL is no file of this server.
    assetsInlineLimit: 0,
  },
  plugins: [
    {
      name: 'compress',
      closeBundle() {
        const assets = join(outDir, 'assets')
        let bytes = 0
        for (const name of readdirSync(assets)) {
          const compressed = gzipSync(readFileSync(join(assets, name)), { level: 9 })
          bytes += compressed.length
          writeFileSync(join(assets, `${name}.gz`), compressed)
        }
        if (bytes > maxGzipBytes)
          throw new Error(`the pages have ${bytes} bytes compressed, more than ${maxGzipBytes}`)
      },
    },
  ],
})
