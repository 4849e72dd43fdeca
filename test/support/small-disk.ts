import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly path: string
  /** Takes the room that is left, but for so many bytes; the function that it gives makes it free again. */
  fill(leftBytes?: number): () => void
  remove(): void
}

/** A file system of so many MB; undefined where we may not mount one. */
export function mountSmallDisk(megabytes = 8): SmallDisk | undefined {
  const path = mkdtempSync(join(tmpdir(), 'madsci-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    rmSync(path, { recursive: true })
    return undefined
  }
  return {
    path,
    fill(leftBytes = 0) {
      const ballast = join(path, 'ballast')
      const { bavail, bsize } = statfsSync(path)
      for (let bytes = bavail * bsize - leftBytes; bytes > 0; bytes -= bsize) {
        try {
          writeFileSync(ballast, Buffer.alloc(bytes))
          break
        } catch {
          rmSync(ballast, { force: true })
        }
      }
      return () => rmSync(ballast)
    },
    remove() {
      execFileSync('umount', ['-l', path])
      rmSync(path, { recursive: true, force: true })
    },
  }
}
