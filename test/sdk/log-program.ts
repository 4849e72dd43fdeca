import { createPinoStream } from '@madsci-events/sdk/pino'
import { createWinstonTransport } from '@madsci-events/sdk/winston'
import pino from 'pino'
import winston from 'winston'

/**
 * A program that logs in its own thread, and is gone within the same turn.
 *
 *     node log-program.ts pino|winston COUNT URL NAME
 */
const [library, count, url, name] = process.argv.slice(2) as [string, string, string, string]
const logger =
  library === 'pino'
    ? pino({ base: null }, createPinoStream({ url, name }))
    : winston.createLogger({ transports: [createWinstonTransport({ url, name })] })
for (let number = 0; number < Number(count); number++) {
  if (library === 'pino') (logger as pino.Logger).info({ number }, 'line')
  else (logger as winston.Logger).info('line', { number })
}
process.kill(process.pid, 'SIGKILL')
