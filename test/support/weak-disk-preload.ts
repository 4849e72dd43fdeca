// Preloaded into a program (`node --import`): its syncs are written down, fail or take their time, as WEAK_DISK says.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { WeakDisk } from './weak-disk.ts'

const { log, faults = [] } = JSON.parse(process.env.WEAK_DISK!) as WeakDisk
const { fdatasyncSync, fsyncSync, fstatSync, readdirSync, readlinkSync, writeSync } = fs
const out = fs.openSync(log, 'a')
// Linux tells of a failure once, and takes what it could not write for clean: a file that failed is never to be trusted.
const failed = new Set<number>()

function sync(fd: number, real: (fd: number) => void): void {
  const { ino, size, isDirectory } = describe(fd)
  const nowMs = performance.now()
  for (const { fromMs = 0, toMs = Number.POSITIVE_INFINITY, code, delayMs = 0 } of faults) {
    if (nowMs < fromMs || nowMs >= toMs) continue
    if (delayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs)
    if (code === undefined) continue
    failed.add(ino)
    throw Object.assign(new Error(`${code}: a fault of the test, fsync`), { code, syscall: 'fsync' })
  }
  real(fd)
  if (failed.has(ino) && !isDirectory) return
  const path = readlinkSync(`/proc/self/fd/${fd}`)
  writeSync(out, `${JSON.stringify(isDirectory ? { path, names: readdirSync(path) } : { path, size })}\n`)
}

function describe(fd: number) {
  const stat = fstatSync(fd)
  return { ino: stat.ino, size: stat.size, isDirectory: stat.isDirectory() }
}

fs.fdatasyncSync = (fd) => sync(fd, fdatasyncSync)
fs.fsyncSync = (fd) => sync(fd, fsyncSync)
syncBuiltinESMExports()
