import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import proxyAddr from '@fastify/proxy-addr'

/** What says where a request came from, of HTTP/1 and HTTP/2. */
export type Origin = Pick<IncomingMessage, 'headers'> & { socket: { remoteAddress?: string | undefined } }

export interface Clients {
  readonly hasProxies: boolean
  /** Whether an address is that of a proxy whose `X-Forwarded-For` counts. */
  isProxy(address: string): boolean
  /** Whose request it is, as one key: the nearest address that is not a proxy's. */
  clientOf(request: Origin): string
}

/** `proxies`: addresses, and networks such as 10.0.0.0/8. Throws for what is neither. */
export function createClients(proxies: readonly string[]): Clients {
  const hasProxies = proxies.length > 0
  const isProxy = proxyAddr.compile([...proxies])
  return {
    hasProxies,
    isProxy: (address) => hasProxies && isProxy(address, 0),
    clientOf(request) {
      if (!hasProxies) return toClient(request.socket.remoteAddress ?? '')
      return toClient(proxyAddr(request as IncomingMessage, isProxy))
    },
  }
}

/**
 * The client behind a peer address, as one key: an IPv4 address on an IPv6 socket is the IPv4 address, and the addresses of
 * an IPv6 /64, of which one machine may have all, are one client.
 */
export function toClient(address: string): string {
  if (!isIPv6(address)) return address
  const bare = address.split('%', 1)[0]!.toLowerCase()
  const groups = expand(bare)
  // ::ffff:a.b.c.d may also be written in hex.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join('.')
  if (groups.slice(0, 7).every((group) => group === 0)) return bare
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The eight groups of an IPv6 address. */
function expand(address: string): number[] {
  const [head = '', tail] = address.split('::')
  const read = (text: string) =>
    text === ''
      ? []
      : text.split(':').flatMap((part) => {
          if (!part.includes('.')) return [Number.parseInt(part, 16)]
          const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
          return [a * 256 + b, c * 256 + d]
        })
  const [first, last] = [read(head), read(tail ?? '')]
  return tail === undefined
    ? first
    : [...first, ...new Array<number>(Math.max(0, 8 - first.length - last.length)).fill(0), ...last]
}
