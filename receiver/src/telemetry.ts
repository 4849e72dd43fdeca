import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { loadExporters, pathOf } from './telemetry-exporter.ts'
import type { Telemetry, TelemetryOptions } from './telemetry-sdk.ts'

/** Loads OpenTelemetry's SDK, which nobody pays for who has it off. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { createTelemetry } = await import('./telemetry-sdk.ts')
  const { endpoint, protocol } = options
  if (endpoint !== undefined) return createTelemetry(options, await loadExporters(protocol, endpoint))
  const { createConsoleExporters } = await import('./telemetry-console.ts')
  return createTelemetry(options, createConsoleExporters())
}

function toLogsUrl(text: string): string {
  const url = new URL(text)
  return `${url.origin}${pathOf(url, 'logs')}`
}

const defaultPorts: { [protocol: string]: number } = { 'http:': 80, 'https:': 443 }

/**
 * Whether an endpoint is a listener of this process: one of `ports` of this machine, or one of its `urls`. What
 * it takes would then be told of in what it sends, for ever.
 */
export async function isOwnEndpoint(
  endpoint: string,
  ports: readonly (number | undefined)[],
  urls: readonly string[],
): Promise<boolean> {
  const { hostname, port, protocol } = new URL(endpoint)
  const target = toLogsUrl(endpoint)
  if (urls.some((url) => toLogsUrl(url) === target)) return true
  if (!ports.includes(Number(port) || defaultPorts[protocol])) return false
  const name = hostname.replace(/^\[|\]$/g, '')
  const found = await lookup(name, { all: true }).catch(() => [])
  const own = new Set(Object.values(networkInterfaces()).flatMap((all) => all!.map(({ address }) => address)))
  return found.some(
    ({ address }) => own.has(address) || /^(127\.|::1$|0\.0\.0\.0$|::$|::ffff:127\.)/.test(address),
  )
}
