import { createWriteStream, fstatSync, type WriteStream } from 'node:fs'
import { openPrivateFile } from '../private-file.ts'

/** A file that the operator named: for this user alone, and on the disk when it ends; a device or a pipe has none. */
export function openOutput(path: string): WriteStream {
  const fd = openPrivateFile(path, { followsLinks: true })
  return createWriteStream(path, { fd, flush: fstatSync(fd).isFile() })
}
