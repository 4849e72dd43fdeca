import { type LookupAddress, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Addresses that no message goes to unless its host is allowed by name: private, link-local, loopback, and the like. */
const inner = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  inner.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  inner.addSubnet(network, prefix, 'ipv6')

/** True for an address of the inner network, also one that an IPv6 address wraps (mapped, NAT64, 6to4). */
export function isInnerAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, '').split('%')[0]!
  const family = isIP(bare)
  if (family === 0) return true
  if (family === 4) return inner.check(bare, 'ipv4')
  if (inner.check(bare, 'ipv6')) return true
  const wrapped = wrappedAddress(bare)
  return wrapped !== undefined && inner.check(wrapped, 'ipv4')
}

function wrappedAddress(address: string): string | undefined {
  const groups = toGroups(address)
  const text = (high: number, low: number) => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  const [a, b, c, d, e, f, g, h] = groups as [number, number, number, number, number, number, number, number]
  if (a === 0 && b === 0 && c === 0 && d === 0 && (f === 0xffff || f === 0)) return text(g, h)
  if (a === 0x64 && b === 0xff9b && c <= 1) return text(g, h)
  if (a === 0x2002) return text(b, c)
  return e === 0 && f === 0x5efe ? text(g, h) : undefined
}

function toGroups(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const plain = dotted
    ? `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`
    : address
  const [head = '', tail] = plain.split('::')
  const parse = (part: string) => (part === '' ? [] : part.split(':').map((one) => Number.parseInt(one, 16)))
  const [front, back] = [parse(head), tail === undefined ? [] : parse(tail)]
  return [...front, ...new Array(8 - front.length - back.length).fill(0), ...back]
}

/** A name server's answer is checked where it is used: there is no second answer between check and connection. */
export function createGuardedLookup(isAllowed: boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error) return callback(error, [])
      const refused = isAllowed ? undefined : found.find(({ address }) => isInnerAddress(address))
      if (refused) return callback(refuse(hostname), [])
      if (options.all) return callback(null, found)
      const first = found[0]!
      return callback(null, first.address, first.family)
    })
  }
}

export function refuse(host: string): NodeJS.ErrnoException {
  const text = `${host} is an address of the inner network, and alert_private_hosts does not name it`
  return Object.assign(new Error(text), { code: 'EINNER' })
}
