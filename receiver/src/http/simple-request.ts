import { isFetchOfNode } from './guard.ts'

/** A POST whose head has nothing unusual. */
export interface SimpleHead {
  path: string
  host: string
  contentType: string | undefined
  bodyBytes: number
  traceparent?: string | undefined
}

const headPattern = /^POST (\/[!-~]*) HTTP\/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*\r\n)+)$/
const hostPattern = /^[A-Za-z0-9.:[\]_-]+$/
const lengthPattern = /^\d{1,9}$/
// What changes how a request is read or answered, and what a browser says of the page that it comes from.
const unusual = new Set([
  'transfer-encoding',
  'expect',
  'upgrade',
  'te',
  'trailer',
  'content-encoding',
  'origin',
  'referer',
  'proxy-connection',
  'http2-settings',
])

/**
 * Reads the head of a request (latin1, up to its last header with the line end) when it is a plain POST with a length and
 * each header once; undefined for every other, which is the parser's of node:http. It takes a part of what that one
 * takes, and nothing else.
 */
export function parseSimpleHead(text: string): SimpleHead | undefined {
  const match = headPattern.exec(text)
  if (!match) return undefined
  const headers = new Map<string, string>()
  for (const line of match[2]!.split('\r\n')) {
    if (line === '') continue
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (headers.has(name) || unusual.has(name)) return undefined
    headers.set(name, line.slice(colon + 1).trim())
  }
  const length = headers.get('content-length')
  const connection = headers.get('connection')?.toLowerCase()
  if (length === undefined || !lengthPattern.test(length)) return undefined
  const host = headers.get('host') ?? ''
  if (!hostPattern.test(host)) return undefined
  const userAgent = headers.get('user-agent')
  if (userAgent?.toLowerCase().startsWith('mozilla/')) return undefined
  for (const name of headers.keys())
    if (name.startsWith('sec-') && !isFetchOfNode(name, userAgent)) return undefined
  if (connection !== undefined && connection !== 'keep-alive') return undefined
  return {
    path: match[1]!,
    host,
    contentType: headers.get('content-type'),
    bodyBytes: Number(length),
    traceparent: headers.get('traceparent'),
  }
}
