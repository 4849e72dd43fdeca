import { readFileSync } from 'node:fs'
import http, { Agent as HttpAgent } from 'node:http'
import https, { Agent as HttpsAgent } from 'node:https'
import { diag } from './diagnostic.ts'
import type { Environment } from './environment.ts'

/** The files that OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY name, read. */
export interface Tls {
  ca?: Buffer
  cert?: Buffer
  key?: Buffer
}

export function readTls({ get, nameOf }: Pick<Environment, 'get' | 'nameOf'>): Tls {
  const tls: Tls = {}
  const read = (member: keyof Tls, name: string) => {
    const variable = [`OTEL_EXPORTER_OTLP_LOGS_${name}`, `OTEL_EXPORTER_OTLP_${name}`].find(get)
    if (variable === undefined) return
    try {
      tls[member] = readFileSync(get(variable)!.trim())
    } catch (error) {
      diag.warn(`${nameOf(variable)} names a file that cannot be read: it is not used`, error)
    }
  }
  read('ca', 'CERTIFICATE')
  read('cert', 'CLIENT_CERTIFICATE')
  read('key', 'CLIENT_KEY')
  return tls
}

/**
 * Connections of our own, so that a request that hangs can be cut. Through the proxy of the environment, where Node's own
 * requests go there (NODE_USE_ENV_PROXY).
 */
export function createAgent(url: string, tls: Tls): HttpAgent | HttpsAgent {
  const isSecure = url.startsWith('https:')
  const { globalAgent } = isSecure ? https : http
  const { proxyEnv } = (globalAgent as { options?: { proxyEnv?: NodeJS.ProcessEnv } }).options ?? {}
  const options = { keepAlive: true, ...(proxyEnv && { proxyEnv }) }
  return isSecure ? new HttpsAgent({ ...options, ...tls }) : new HttpAgent(options)
}
