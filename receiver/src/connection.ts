import { readFileSync } from 'node:fs'
import type { Server, Socket } from 'node:net'
import { type Clients, toClient } from './client.ts'
import type { Metric } from './metric.ts'

export interface ConnectionLimitOptions {
  /** Connections of this listener at once. */
  maxConnections: number
  listener: 'http' | 'otlp' | 'grpc'
  metric: Metric
  clients: Clients
}

// An address may hold so much of what a listener takes: others always find a place.
const addressShare = 0.75
// For the database, its threads, the log, and whatever else needs a descriptor.
const reservedDescriptors = 128

/**
 * Bounds the connections of a listener, all together and of one address: a connection above a bound is closed at once,
 * and counted. What is open stays. A proxy, behind which are many, has the whole.
 */
export function limitConnections(server: Server, options: ConnectionLimitOptions): void {
  const { metric, listener, clients } = options
  const most = Math.min(options.maxConnections, shareOfDescriptors())
  const mostOfAddress = Math.max(1, Math.floor(most * addressShare))
  const byAddress = new Map<string, number>()
  let open = 0
  metric.gauge('connections_open', () => open, listener)

  function refusal(address: string, count: number): string | undefined {
    if (open >= most) return 'too many'
    return count > mostOfAddress && !clients.isProxy(address) ? 'too many of one address' : undefined
  }

  const serve = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const address = toClient(socket.remoteAddress ?? '')
    const count = (byAddress.get(address) ?? 0) + 1
    const reason = refusal(address, count)
    if (reason !== undefined) {
      metric.add('connections_refused', 1, reason)
      socket.destroy()
      return
    }
    open++
    byAddress.set(address, count)
    socket.once('close', () => {
      open--
      const left = byAddress.get(address)! - 1
      if (left > 0) byAddress.set(address, left)
      else byAddress.delete(address)
    })
    for (const listen of serve) listen.call(server, socket)
  })
}

/** A third, for there are three listeners, of the descriptors that this process may have (`ulimit -n`). */
function shareOfDescriptors(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1')
    const soft = Number(/^Max open files +(\d+)/m.exec(limits)?.[1])
    return soft > 0 ? Math.max(8, Math.floor((soft - reservedDescriptors) / 3)) : Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
