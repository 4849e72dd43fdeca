// The receiver with leases as short as LEASE_MS says, so that tests need not wait for them: `serve --name=value …`
import { pino } from 'pino'
import { readConfig } from '../../receiver/src/config/config.ts'
import { startReceiver } from '../../receiver/src/receiver.ts'

const flags = Object.fromEntries(
  process.argv.slice(3).map((argument) => /^--([^=]+)=(.*)$/s.exec(argument)!.slice(1) as [string, string]),
)
const config = readConfig({ environment: {}, flags })
const log = pino(
  { level: config.logLevel, base: { pid: process.pid } },
  pino.destination({ fd: 2, sync: true }),
)
const receiver = await startReceiver(config, {
  log,
  workingDirectory: process.cwd(),
  leaseMs: Number(process.env.LEASE_MS),
})
process.once('SIGTERM', async () => process.exit((await receiver.close()) ? 0 : 1))
console.log(`  REST and OTLP  ${receiver.url}`)
console.log(`  OTLP alone     ${receiver.otlpUrl ?? 'no second listener'}`)
console.log(`  events rest in ${receiver.storeText}`)
