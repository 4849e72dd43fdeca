import { closeSync, lstatSync, openSync, readSync, statSync } from 'node:fs'

/** Inode numbers of the files of an open database; undefined for one that did not exist. Plain data: threads get a copy. */
export interface FileIdentity {
  /** The path that SQLite opened, without symbolic links. */
  path: string
  /** The path that was configured, where that is another name. */
  alias: string | undefined
  main: number | undefined
  log: number | undefined
  index: number | undefined
  lock: number | undefined
  /**
   * Open for reading as long as the database is. Closing any descriptor of the file would end all locks that SQLite holds on
   * it in this process (POSIX), and a `sqlite3` beside us would then remove the log.
   */
  descriptor: number
  /** Shared by the threads that write: time of the last change, size, and header of the database file, as we left it. */
  content: SharedArrayBuffer
}

const headerBytes = 100

const inodeOf = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.ino

/** As the files are now; to be closed after every connection. */
export function identifyFiles(path: string, alias?: string): FileIdentity {
  const content = new SharedArrayBuffer(16 + headerBytes)
  const files = {
    path,
    descriptor: openSync(path, 'r'),
    alias: alias === path ? undefined : alias,
    main: inodeOf(path),
    log: inodeOf(`${path}-wal`),
    index: inodeOf(`${path}-shm`),
    lock: inodeOf(`${path}.lock`),
    content,
  }
  noteContent(files)
  return files
}

export function closeFiles({ descriptor }: FileIdentity): void {
  closeSync(descriptor)
}

/** To be called by whoever may have written to the database file itself: with a checkpoint of the log. */
export function noteContent({ path, descriptor, content }: FileIdentity): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  const [known] = new Float64Array(content, 0, 2)
  if (!stats || stats.mtimeMs === known) return
  new Float64Array(content, 0, 2).set([stats.mtimeMs, stats.size])
  new Uint8Array(content, 16).set(readHeader(descriptor))
}

function readHeader(descriptor: number): Uint8Array {
  const header = new Uint8Array(headerBytes)
  readSync(descriptor, header, 0, headerBytes, 0)
  return header
}

/**
 * True when somebody else wrote into the database file: `cp backup.db events.db` keeps the inode. Only for the thread
 * that writes, while no other does: a checkpoint of our own changes the file as well.
 */
export function isOverwritten({ path, descriptor, content }: FileIdentity): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  const [changedMs, size] = new Float64Array(content, 0, 2)
  if (!stats || stats.mtimeMs === changedMs) return false
  // `touch` changes the time alone.
  return stats.size !== size || Buffer.compare(readHeader(descriptor), new Uint8Array(content, 16)) !== 0
}

/**
 * Compares names with inodes before each commit. SQLite writes to the files that it opened, whatever happens to their
 * names: what it commits to a file that was removed or replaced is gone with the process.
 * Undefined while every file is the one that was opened, else what happened and what to do. Costs a few microseconds.
 */
export function findFileTrouble(files: FileIdentity): string | undefined {
  const { path, alias, main, log, index, lock } = files
  const isReached =
    inodeOf(path) === main &&
    (alias === undefined || statSync(alias, { throwIfNoEntry: false })?.ino === main)
  if (!isReached) return 'the database file was moved or replaced; put it back, or restart the receiver'
  if (log !== undefined && (inodeOf(`${path}-wal`) !== log || inodeOf(`${path}-shm`) !== index))
    return `the write-ahead log (${path}-wal, -shm) was removed or replaced; restart the receiver`
  if (lock !== undefined && inodeOf(`${path}.lock`) !== lock)
    return `the lock ${path}.lock was removed or replaced, so another receiver may own the database; restart the receiver`
  return undefined
}
