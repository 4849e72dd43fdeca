#!/usr/bin/env node
// Launcher: the shell's own Node may be older than the receiver needs, so this file runs on any Node
// and re-executes the project's one (the `node` package) on the built files, or on the sources in a checkout.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeEnv, nodeFlags } from './node-flags.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const source = join(root, 'src', 'main.ts')
const entry = existsSync(source)
  ? ['--conditions=madsci-events-source', source]
  : [join(root, 'dist', 'main.js')]

/** The Node to run: this one when it is new enough, else the one that the `node` package installed. */
function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  try {
    const found = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node')
    if (existsSync(found)) return found
  } catch {
    // not installed: the message below says what to do
  }
  console.error(
    `madsci-events needs Node 24 or newer; this is ${process.version}. Install it, or run: npm install node@24`,
  )
  process.exit(1)
}

const node = findNode()
// The `node` package is of version 24.
const flags = nodeFlags(node === process.execPath ? Number(process.versions.node.split('.')[0]) : 24)
// Other users see the command line of a process, and settings on it may be secrets.
process.title = 'madsci-events launcher'
// The channel ends with this process, however it dies: without it a launcher that was killed would leave a receiver that
// owns the database file and that nobody supervises.
const child = spawn(node, [...flags, ...entry, ...process.argv.slice(2)], {
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: { ...nodeEnv, ...process.env, MADSCI_EVENTS_LAUNCHED: '1' },
})
// The terminal sends ctrl-C to both processes; a supervisor signals only this one. Either way the child decides.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  })
}
child.on('exit', (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  } else process.exit(code ?? 1)
})
