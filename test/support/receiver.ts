import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../receiver/src/config/config.ts'
import { type Log, silentLog } from '../../receiver/src/log.ts'
import { startReceiver } from '../../receiver/src/receiver.ts'

export interface TestReceiverOptions {
  /** Settings by name; by default free ports, and SQLite in a folder that goes with the receiver. */
  flags?: { [name: string]: string }
  log?: Log
  /** See StartOptions. */
  environment?: { [name: string]: string }
  canaryTimeoutMs?: number
  conservation?: { intervalMs?: number; lateMs?: number }
}

/** A receiver inside the test's process, on free ports of 127.0.0.1. */
export async function startTestReceiver({
  flags = {},
  log = silentLog,
  ...options
}: TestReceiverOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-events-'))
  const config = readConfig({
    environment: {},
    flags: { server_url: 'http://127.0.0.1:0/', otlp_port: '0', grpc_port: 'none', ...flags },
  })
  const receiver = await startReceiver(config, { ...options, log, workingDirectory: folder })
  return {
    ...receiver,
    url: receiver.url,
    otlpUrl: receiver.otlpUrl!,
    grpcUrl: receiver.grpcUrl!,
    folder,
    async close() {
      const clean = await receiver.close()
      await rm(folder, { recursive: true, force: true })
      return clean
    },
  }
}
