import { Writable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

export interface LineStreamOptions {
  /** Takes one line, without its end. */
  onLine(line: string): void
  /** Called with `logger.flush(callback)`. */
  flush(): Promise<void>
  /** Called once, after the last line. */
  close(): Promise<void>
}

/**
 * What pino writes to: each line is taken within the write that completes it, so that a line which pino knows to be
 * written is a line that we have.
 */
export function createLineStream({ onLine, flush, close }: LineStreamOptions): Writable {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, callback) {
      const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line !== '') onLine(line)
      callback()
    },
    final(callback) {
      if (rest !== '') onLine(rest)
      close().then(
        () => callback(),
        () => callback(),
      )
    },
  })
  // pino's worker looks for it; without, logger.flush() would end before the events are delivered.
  return Object.assign(stream, {
    flush(callback: () => void) {
      // pino makes an 'error' of what fails here, and that would end the program; what waits is safe without.
      flush().then(callback, () => callback())
    },
  })
}
