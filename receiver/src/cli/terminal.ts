import { once } from 'node:events'
import { toInertCsv, toInertLine } from '../inert.ts'

/** The process, as `runCommand` is given it. */
export interface Process {
  environment: { [name: string]: string | undefined }
  workingDirectory: string
  stdout: Stream
  stderr: Stream
  /** Aborts at the first SIGTERM, SIGINT or SIGHUP; its reason is the signal's name. */
  stopping: AbortSignal
}

export interface Stream {
  write(text: string): unknown
  isTTY?: boolean
  /** Of a terminal; it changes with its window. */
  columns?: number
}

/** The process as a command sees it. */
export interface Terminal extends Omit<Process, 'stdout' | 'stderr'> {
  stdout: Output
  stderr: Output
}

/** A stream to which no text of others brings control characters: see inert.ts. */
export interface Output {
  readonly isTTY: boolean
  /** The width of the terminal; undefined where none is or nobody knows. */
  readonly columns: number | undefined
  /** Whole documents, or lines that hold our own text alone; CR LF is a line end. False when the reader is behind: see `drained`. */
  write(text: string): unknown
  /** One line for people, with whatever text in it; its end is added. */
  line(text: string): void
  /** Codes for the terminal, as they are. */
  control(codes: string): void
  drained(): Promise<void>
}

/** Whether a terminal that is there shows colours, as far as the environment says. */
export const allowsColour = ({ NO_COLOR, TERM }: Process['environment']): boolean =>
  !NO_COLOR && TERM !== 'dumb'

export function createTerminal(process: Process): Terminal {
  return { ...process, stdout: createOutput(process.stdout), stderr: createOutput(process.stderr) }
}

function createOutput(stream: Stream): Output {
  // Of a CR LF that two pieces share.
  let held = ''
  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns
    },
    write(text) {
      const whole = held + text
      held = whole.endsWith('\r') ? '\r' : ''
      return stream.write(toInertCsv(held === '' ? whole : whole.slice(0, -1)))
    },
    line: (text) => void stream.write(`${toInertLine(text)}\n`),
    control: (codes) => void stream.write(codes),
    async drained() {
      await once(stream as unknown as NodeJS.EventEmitter, 'drain')
    },
  }
}
