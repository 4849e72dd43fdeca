import { type LookupAddress, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Addresses of machines that a cloud shows its own guests alone, though they look like public ones. */
const hostServices = new Set(['168.63.129.16'])

/**
 * False for an address of the public internet alone. All else is inner: loopback, private, shared, link-local, multicast,
 * documentation, benchmarks, what is reserved, and an IPv6 address that wraps such an IPv4 address (mapped, NAT64, 6to4, ISATAP).
 * Teredo, local NAT64 prefixes and IPv4-compatible addresses are inner whatever they wrap: nobody on the internet has one any more.
 */
export function isInnerAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, '').split('%')[0]!
  const family = isIP(bare)
  if (family === 0) return true
  if (family === 4) return isInnerV4(ipaddr.IPv4.parse(bare))
  // ipaddr.js takes `::8.8.8.8` for `::ffff:8.8.8.8`; as a URL has it, no dots are left.
  return isInnerV6(ipaddr.IPv6.parse(new URL(`http://[${bare}]`).hostname.slice(1, -1)))
}

function isInnerV4(address: ipaddr.IPv4): boolean {
  return address.range() !== 'unicast' || hostServices.has(address.toString())
}

function isInnerV6(address: ipaddr.IPv6): boolean {
  const [a, b, c, d, e, f, g, h] = address.parts as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const isInner = (high: number, low: number) =>
    isInnerV4(new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255]))
  if ((a | b | c | d | e) === 0 && f === 0xffff) return isInner(g, h)
  if (a === 0x64 && b === 0xff9b && (c | d | e | f) === 0) return isInner(g, h)
  if (a === 0x2002) return isInner(b, c)
  // The bits for 'universal' and 'group' do not matter.
  if ((e & ~0x300) === 0 && f === 0x5efe && isInner(g, h)) return true
  return address.range() !== 'unicast' || a >> 13 !== 1
}

/** A name server's answer is checked where it is used: there is no second answer between check and connection. */
export function createGuardedLookup(isAllowed: boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error) return callback(error, [])
      const refused = isAllowed ? undefined : found.find(({ address }) => isInnerAddress(address))
      if (refused) return callback(refusedAddress(hostname), [])
      if (options.all) return callback(null, found)
      const first = found[0]!
      return callback(null, first.address, first.family)
    })
  }
}

export function refusedAddress(host: string): NodeJS.ErrnoException {
  const text = `${host} is an address of the inner network, and alert_private_hosts does not name it`
  return Object.assign(new Error(text), { code: 'EINNER' })
}
