import { Writable } from 'node:stream'
import { EventClient, emitLine } from '../client.ts'
import { fromSeverity, toSeverity } from '../event/level.ts'
import { severityOfWord } from '../event/severity-word.ts'
import { severityByOrder, tellUnknownLevel } from '../level-word.ts'
import { toLineEvent } from '../line.ts'
import { isError } from '../realm.ts'
import type { ClientOptions } from '../setting.ts'

export { traceMixin } from '../trace-mixin.ts'

export interface WinstonOptions extends Omit<ClientOptions, 'restUrl'> {
  /** Only this level and more severe ones; the logger's, if left out. */
  level?: string
  silent?: boolean
  /** How long `logger.end()` may wait for delivery; 1000, if left out. */
  closeTimeoutMs?: number
}

interface Logger {
  levels?: { [level: string]: number }
  level?: string
}

type Info = { [key: string | symbol]: unknown }

const levelSymbol = Symbol.for('level')

/**
 * A transport for winston: `createLogger({ transports: [createWinstonTransport({ url })] })`. An event is safe when the
 * call that logged it returns.
 */
export function createWinstonTransport(
  options: WinstonOptions = {},
): Writable & { level?: string; silent: boolean } {
  const { level, silent = false, closeTimeoutMs = 1000, ...clientOptions } = options
  const client = new EventClient(clientOptions)
  let logger: Logger | undefined
  const stream = new Writable({
    objectMode: true,
    write(info: Info, _encoding, callback) {
      if (isWanted(info)) emitInfo(client, info, logger?.levels)
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
    ...(level !== undefined && { level }),
    log,
  }) as Writable & {
    level?: string
    silent: boolean
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

function emitInfo(client: EventClient, info: Info, levels: Logger['levels']): void {
  const { level, message, timestamp, stack, ...members } = info
  const name = String(info[levelSymbol] ?? level)
  const number = severityOf(name, levels)
  const isText = typeof message === 'string'
  if (!isText && message !== undefined) members.message = message
  const type = isError(info) ? info.name : 'Error'
  const exception = typeof stack === 'string' ? { type, message, stacktrace: stack } : undefined
  const madsciLevel = fromSeverity(number)
  const event = toLineEvent({
    message: isText ? message : undefined,
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
