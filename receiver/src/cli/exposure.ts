import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** What an operator should know whose receiver other machines can reach; undefined for a host of this machine alone. */
export async function findExposure(host: string): Promise<string | undefined> {
  const addresses = isIP(host) ? [host] : await resolve(host)
  const isLoopback = (address: string) => loopback.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  if (addresses.length > 0 && addresses.every(isLoopback)) return undefined
  return `the receiver listens on ${host}, which other machines can reach, and has no login: everyone who reaches a port can read, send, archive and delete events; limit who does by a firewall, a proxy with a login, a network of containers or a NetworkPolicy, or listen on localhost alone: --server_url=http://localhost:8001/`
}

async function resolve(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  } catch {
    return []
  }
}
