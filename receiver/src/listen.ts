import { lookup } from 'node:dns/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { EventError } from '@madsci-events/sdk/event'
import type { Config } from './config/config.ts'
import type { Log } from './log.ts'

/** What listens. Throws what node:net throws. */
export interface Listener {
  listen(address: { host: string; port: number }): Promise<number>
}

/** Gives the port that was taken. Throws EVT_CONFIG. */
export async function listen(server: Listener, host: string, port: number, setting: string): Promise<number> {
  try {
    return await server.listen({ host, port })
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'the port is taken' : (cause as Error).message
    throw new EventError('EVT_CONFIG', `cannot listen on ${host}:${port} (${setting}): ${reason}`, { cause })
  }
}

export interface OptionalListener {
  host: string
  config: Config
  log: Log
}

/** The standard ports often belong to a Collector on the same machine: only an operator who asked for one must get it. */
export async function listenIfFree(
  server: Listener,
  setting: 'otlp_port' | 'grpc_port',
  port: number | undefined,
  { host, config, log }: OptionalListener,
): Promise<number | undefined> {
  if (port === undefined) return undefined
  try {
    return await listen(server, host, port, setting)
  } catch (error) {
    if (config.given.has(setting)) throw error
    log.warn({ port }, `${(error as Error).message}; the receiver goes on without this listener`)
    return undefined
  }
}

/** `localhost` has often two, and a client may try either. */
export async function addressesOf(host: string): Promise<string[]> {
  if (host !== 'localhost') return [host]
  const found = await lookup(host, { all: true })
  return [...new Set(found.map(({ address }) => address))]
}

/**
 * Further addresses of a server that listens: their connections are its own, with its limits and its end. One that cannot
 * be had (IPv6 is off, another program has the port) is left out; gives those that listen.
 */
export async function listenBeside(server: Server, addresses: readonly string[]): Promise<Server[]> {
  const { port } = server.address() as AddressInfo
  const besides: Server[] = []
  for (const address of addresses) {
    const beside = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      server.emit('connection', socket),
    )
    const isListening = await new Promise<boolean>((resolve) => {
      beside.once('error', () => resolve(false))
      beside.listen(port, address, () => resolve(true))
    })
    if (isListening) besides.push(beside)
  }
  return besides
}
