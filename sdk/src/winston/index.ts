import { Writable } from 'node:stream'
import { EventClient, emitLine } from '../client.ts'
import { diag } from '../diagnostic.ts'
import { fromSeverity, toSeverity } from '../event/level.ts'
import { severityOfWord } from '../event/severity-word.ts'
import { severityByOrder, tellUnknownLevel } from '../level-word.ts'
import { toLineEvent } from '../line.ts'
import type { ClientOptions } from '../setting.ts'
import { type Info, isRewritten, readException, readWritten, toLine, toPlainText } from './info.ts'

export { traceMixin } from '../trace-mixin.ts'

export interface WinstonOptions extends Omit<ClientOptions, 'restUrl'> {
  /** Only this level and more severe ones; the logger's, if left out. */
  level?: string | undefined
  silent?: boolean | undefined
  /** What the line goes through before it becomes an event, after the logger's own: to redact, or to leave lines out. */
  format?: Format | undefined
  /** How long `logger.end()` may wait for delivery; 1000, if left out. */
  closeTimeoutMs?: number | undefined
}

/** One of winston's formats. */
interface Format {
  transform(info: never, options?: unknown): unknown
  options?: unknown
}

interface Logger {
  levels?: { [level: string]: number }
  level?: string
}

const levelSymbol = Symbol.for('level')

/**
 * A transport for winston: `createLogger({ transports: [createWinstonTransport({ url })] })`. An event is safe when the
 * call that logged it returns.
 */
export function createWinstonTransport(
  options: WinstonOptions = {},
): Writable & { level?: string; silent: boolean } {
  const { level, silent = false, format, closeTimeoutMs = 1000, ...clientOptions } = options
  const client = new EventClient(clientOptions)
  let logger: Logger | undefined
  const stream = new Writable({
    objectMode: true,
    write(info: Info, _encoding, callback) {
      const line = isWanted(info) && transform(readWritten(toLine(info)), transport.format)
      if (line) emitInfo(client, line, logger?.levels)
      callback()
    },
    final(callback) {
      client.close({ timeoutMs: closeTimeoutMs }).then(
        () => callback(),
        () => callback(),
      )
    },
  })
  // winston pipes itself into its transports, and has the order of its levels.
  stream.once('pipe', (source: unknown) => {
    logger = source as Logger
  })

  // winston sets the first two while the program runs, and takes nothing for a transport that has no log().
  const log = (info: Info, next: () => void) => void stream.write(info, () => next())
  const transport = Object.assign(stream, {
    silent,
    ...(format !== undefined && { format }),
    ...(level !== undefined && { level }),
    log,
  }) as Writable & {
    level?: string
    silent: boolean
    format?: Format
  }

  function isWanted(info: Info): boolean {
    const least = transport.level ?? logger?.level
    const levels = logger?.levels
    if (transport.silent) return false
    if (least === undefined || levels === undefined) return true
    const rank = levels[String(info[levelSymbol])]
    return rank === undefined || levels[least] === undefined || rank <= levels[least]
  }

  return transport
}

/** False when the format leaves the line out, or throws: what it would have hidden must not be sent. */
function transform(line: Info, format: Format | undefined): Info | false {
  if (format === undefined) return line
  try {
    const formed = format.transform({ ...line } as never, format.options) as Info | false | undefined
    if (!formed) return false
    return isRewritten(formed, line) ? readWritten(formed) : formed
  } catch (error) {
    diag.warn(`madsci-events: a line of winston is no event, because its format threw: ${error}`)
    return false
  }
}

function emitInfo(client: EventClient, line: Info, levels: Logger['levels']): void {
  const { level, message, timestamp, stack: _, ...rest } = line
  const members: { [key: string]: unknown } = Object.fromEntries(Object.entries(rest))
  const name = toPlainText(String(line[levelSymbol] ?? level))
  const number = severityOf(name, levels)
  const isText = typeof message === 'string'
  if (!isText && message !== undefined) members.message = message
  const exception = readException(line)
  for (const key of ['cause', 'errors']) if (exception?.[key] !== undefined) delete members[key]
  const madsciLevel = fromSeverity(number)
  const event = toLineEvent({
    message: isText ? toPlainText(message) : undefined,
    level: madsciLevel,
    time: timestamp,
    exception,
    members,
  })
  const own = toSeverity(madsciLevel)
  emitLine(client, event, own.number === number ? own : { number, text: name.toUpperCase() })
}

/** winston's own numbers grow as levels get less severe. */
function severityOf(name: string, levels: Logger['levels'] = {}): number {
  const known = severityOfWord(name)
  if (known !== undefined) return known
  const order = Object.keys(levels).sort((a, b) => levels[b]! - levels[a]!)
  const severity = severityByOrder(name, order) ?? 9
  tellUnknownLevel(name, `severity ${severity}`)
  return severity
}
