import { closeSync, fdatasyncSync, ftruncateSync, openSync, read, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { syncFolder } from './folder.ts'
import { encodeDone, headerBytes } from './frame.ts'

const readAt = promisify(read)

/** The bytes of a segment: in a file, or in memory while no file can be written. */
export interface Store {
  readonly isFile: boolean
  /** Of the file. */
  readonly path: string | undefined
  /** Whether it can be read although its file's name may be gone. */
  readonly isOpen: boolean
  readonly size: number
  /** All of it, if it is in memory. */
  readonly bytes: Buffer | undefined
  /** All of `buffer` from `start` to `end` behind what is there or, if it throws, nothing. */
  write(buffer: Buffer, start: number, end: number): void
  /** At most so many bytes from there on. */
  read(from: number, maxBytes: number): Promise<Buffer>
  /** Notes in the header what is delivered. */
  note(doneOffset: number): void
  /** Nothing more will be written. */
  seal(): void
  remove(): void
}

export interface FileStoreOptions {
  /** What is written is on the disk, not only in the system's memory, before the call returns. */
  isSynced: boolean
}

export function createFileStore(path: string, { isSynced }: FileStoreOptions): Store {
  let fd: number | undefined = openSync(path, 'wx+', 0o600)
  let size = 0
  let reading = 0
  let isSealed = false
  // Hundreds of segments may wait: only those that are written or read keep their files open.
  const close = () => {
    if (fd === undefined || reading > 0) return
    closeSync(fd)
    fd = undefined
  }
  return {
    isFile: true,
    path,
    bytes: undefined,
    get isOpen() {
      return fd !== undefined
    },
    get size() {
      return size
    },
    write(buffer, start, end) {
      let from = start
      try {
        while (from < end) from += writeSync(fd!, buffer, from, end - from, size + from - start)
        if (isSynced) fdatasyncSync(fd!)
        if (isSynced && size === 0) syncFolder(dirname(path))
      } catch (error) {
        try {
          ftruncateSync(fd!, size)
        } catch {
          // The next write goes over it.
        }
        throw error
      }
      size += end - start
    },
    async read(from, limit) {
      fd ??= openSync(path, 'r+')
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(limit, size - from)))
      let filled = 0
      reading++
      try {
        while (filled < buffer.length) {
          const { bytesRead } = await readAt(fd, buffer, filled, buffer.length - filled, from + filled)
          if (bytesRead === 0) break
          filled += bytesRead
        }
      } finally {
        reading--
      }
      return buffer.subarray(0, filled)
    },
    note(offset) {
      try {
        fd ??= openSync(path, 'r+')
        const done = encodeDone(offset)
        writeSync(fd, done, 0, done.length, 16)
      } catch {
        // Without the note records are sent again after a crash, and a receiver stores them once.
      }
    },
    seal() {
      if (!isSealed) close()
      isSealed = true
    },
    remove() {
      close()
      rmSync(path, { force: true })
    },
  }
}

export function createMemoryStore(capacityBytes: number): Store {
  let slab: Buffer | undefined
  let size = 0
  return {
    isFile: false,
    path: undefined,
    isOpen: true,
    get bytes() {
      return slab?.subarray(0, size)
    },
    get size() {
      return size
    },
    write(buffer, start, end) {
      const needed = size + end - start
      if (slab === undefined || needed > slab.length) {
        const larger = Buffer.allocUnsafe(Math.max(capacityBytes, needed))
        slab?.copy(larger, 0, 0, size)
        slab = larger
      }
      buffer.copy(slab, size, start, end)
      size = needed
    },
    async read(from, limit) {
      return slab?.subarray(from, Math.min(size, from + limit)) ?? Buffer.alloc(0)
    },
    note(offset) {
      if (slab !== undefined && size >= headerBytes) encodeDone(offset).copy(slab, 16)
    },
    seal() {},
    remove() {
      slab = undefined
      size = 0
    },
  }
}
