import type { Writable } from 'node:stream'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { EventClient, emitLine } from '../client.ts'
import { tellOnStderr } from '../diagnostic.ts'
import type { ClientOptions } from '../setting.ts'
import { type PinoConfig, readPinoLine } from './line.ts'
import { readLogger } from './logger.ts'
import { createLineStream } from './stream.ts'

export { traceMixin } from '../trace-mixin.ts'

/** As for a client, and how to read pino's lines, where pino does not say so itself. */
export interface PinoOptions extends Omit<ClientOptions, 'restUrl'> {
  /** Where the message is; `msg`, if left out. */
  messageKey?: string | undefined
  /** Where the error is; `err`, if left out. */
  errorKey?: string | undefined
  /** The logger's `nestedKey`, if it has one. `createPinoStream` knows it by itself. */
  nestedKey?: string | undefined
  /** How long the end of the program may wait for delivery; 1000, if left out. What is spooled then is sent later. */
  closeTimeoutMs?: number | undefined
}

/**
 * A destination for pino in the program's own thread. A line is safe when the call that wrote it returns; in a worker,
 * one turn of the event loop later.
 *
 *     const logger = pino({ mixin: traceMixin }, createPinoStream({ url: 'http://localhost:8001' }))
 */
export function createPinoStream(options: PinoOptions = {}): Writable {
  const stream = createStream(options, () => ({ ...readLogger(stream), ...readKeys(options) }))
  return Object.assign(stream, { [metadataSymbol]: true })
}

// pino then notes at the stream which logger it writes for.
const metadataSymbol = Symbol.for('pino.metadata')

function createStream(options: PinoOptions, config: () => PinoConfig): Writable {
  const { messageKey: _, errorKey: __, nestedKey: ___, closeTimeoutMs = 1000, ...clientOptions } = options
  const client = new EventClient(clientOptions)
  return createLineStream({
    onLine(line) {
      const { event, severity } = readPinoLine(line, config())
      emitLine(client, event, severity)
    },
    flush: () => client.flush(),
    close: () => client.close({ timeoutMs: closeTimeoutMs }),
  })
}

// Old versions do not send it, and a logger must not wait for ever.
const configTimeoutMs = 1000

/** pino sends what it knows of the logger to its worker once that is there; lines may come right after. */
function receiveConfig(): Promise<PinoConfig> {
  const port = parentPort
  const { pinoWillSendConfig } =
    (workerData as { workerData?: { pinoWillSendConfig?: boolean } })?.workerData ?? {}
  if (isMainThread || port === null || pinoWillSendConfig !== true) return Promise.resolve({})
  return new Promise((resolve) => {
    const settle = (config: PinoConfig) => {
      clearTimeout(timer)
      port.off('message', onMessage)
      resolve(config)
    }
    const onMessage = (message: { code?: string; config?: PinoConfig } | undefined) => {
      if (message?.code === 'PINO_CONFIG') settle(message.config ?? {})
    }
    const timer = setTimeout(() => settle({}), configTimeoutMs)
    port.on('message', onMessage)
  })
}

/**
 * pino's transport: `pino({ transport: { target: '@madsci-events/sdk/pino', options } })`. It runs in a worker of pino's.
 * pino asks for a default export here.
 */
export default async function createTransport(given: PinoOptions): Promise<Writable> {
  if (!isMainThread) tellOnStderr()
  const received = await receiveConfig()
  const options = withoutPinos(given)
  const config = { ...received, ...readKeys(options) }
  return createStream(options, () => config)
}

/** How the program says that lines are to be read. */
function readKeys({ messageKey, errorKey, nestedKey }: PinoOptions): PinoConfig {
  return { ...(messageKey && { messageKey }), ...(errorKey && { errorKey }), ...(nestedKey && { nestedKey }) }
}

/** pino and thread-stream put words of their own between the options. */
function withoutPinos(given: PinoOptions): PinoOptions {
  const pinos = ['$context', 'pinoWillSendConfig', 'levels', 'dedupe']
  return Object.fromEntries(Object.entries(given).filter(([name]) => !pinos.includes(name)))
}
