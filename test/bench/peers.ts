// How loggers whose lines leave by OTLP behave beside each other, as a table for sdk/README.md:
//
//     node --conditions=madsci-events-source test/bench/peers.ts [outage seconds [part of a title]]
//
// Each peer is installed from the npm registry into a folder of its own and logs from a program of its own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { createPackedProject, type PackedProject } from '../support/packed-sdk.ts'
import { findFreePort } from '../support/process.ts'

interface Peer {
  title: string
  packages: { [name: string]: string }
  /** Gives `log`, and with it `tracer` where spans can be seen; `URL_` is the endpoint. */
  setUp: string
}

const otel = {
  '@opentelemetry/api': '1.10.0',
  '@opentelemetry/sdk-logs': '3.1.0',
  '@opentelemetry/sdk-trace': '3.1.0',
}
const inSpan = `
  import { context, trace } from '@opentelemetry/api'
  import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  const within = (traceId, run) => context.with(trace.setSpanContext(context.active(), { traceId, spanId: '00f067aa0ba902b7', traceFlags: 1 }), run)
  const ids = () => { const span = trace.getActiveSpan()?.spanContext(); return span ? { trace_id: span.traceId, span_id: span.spanId, trace_flags: '0' + span.traceFlags } : {} }
`
const hooks = { '@opentelemetry/context-async-hooks': '3.1.0' }

const peers: Peer[] = [
  {
    title: '`@madsci-events/sdk/pino`',
    packages: { ...otel, ...hooks, pino: '10.4.0', '@madsci-events/sdk': 'packed' },
    setUp: `${inSpan}
      import pino from 'pino'
      import { traceMixin } from '@madsci-events/sdk/pino'
      const log = pino({ mixin: traceMixin }, pino.transport({ target: '@madsci-events/sdk/pino', options: { url: URL_, name: 'peer' } }))`,
  },
  {
    title: '`createPinoStream`, in the program’s thread',
    packages: { ...otel, ...hooks, pino: '10.4.0', '@madsci-events/sdk': 'packed' },
    setUp: `${inSpan}
      import pino from 'pino'
      import { createPinoStream, traceMixin } from '@madsci-events/sdk/pino'
      const log = pino({ mixin: traceMixin }, createPinoStream({ url: URL_, name: 'peer' }))`,
  },
  {
    title: '`pino-opentelemetry-transport` 4.0',
    packages: { ...otel, ...hooks, pino: '10.4.0', 'pino-opentelemetry-transport': '4.0.2' },
    setUp: `${inSpan}
      import pino from 'pino'
      const exporterOptions = { protocol: 'http/protobuf', protobufExporterOptions: { url: URL_ + '/v1/logs' } }
      const options = { resourceAttributes: { 'service.name': 'peer' }, logRecordProcessorOptions: [{ recordProcessorType: 'batch', exporterOptions }] }
      const log = pino({ mixin: ids }, pino.transport({ target: 'pino-opentelemetry-transport', options }))`,
  },
  {
    title: '`@opentelemetry/instrumentation-pino` 0.70, BatchLogRecordProcessor',
    packages: {
      ...otel,
      ...hooks,
      pino: '10.4.0',
      '@opentelemetry/instrumentation-pino': '0.70.0',
      '@opentelemetry/instrumentation': '0.300.0',
      '@opentelemetry/exporter-logs-otlp-http': '0.301.0',
    },
    setUp: `${inSpan}
      import { createRequire } from 'node:module'
      import { logs } from '@opentelemetry/api'
      import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
      import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
      import { registerInstrumentations } from '@opentelemetry/instrumentation'
      import { PinoInstrumentation } from '@opentelemetry/instrumentation-pino'
      const exporter = new OTLPLogExporter({ url: URL_ + '/v1/logs' })
      const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] })
      logs.setGlobalLoggerProvider(provider)
      registerInstrumentations({ loggerProvider: provider, instrumentations: [new PinoInstrumentation()] })
      const pino = createRequire(import.meta.url)('pino')
      const log = pino(pino.destination('/dev/null'))
      const shutdown = () => provider.shutdown()`,
  },
  {
    title: '`@opentelemetry/winston-transport` 0.34, BatchLogRecordProcessor',
    packages: {
      '@opentelemetry/api': '1.9.1',
      '@opentelemetry/context-async-hooks': '2.8.0',
      '@opentelemetry/api-logs': '0.223.0',
      '@opentelemetry/sdk-logs': '0.223.0',
      '@opentelemetry/exporter-logs-otlp-http': '0.223.0',
      '@opentelemetry/winston-transport': '0.34.0',
      winston: '3.19.0',
    },
    setUp: `${inSpan}
      import winston from 'winston'
      import { logs } from '@opentelemetry/api-logs'
      import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
      import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
      import { OpenTelemetryTransportV3 } from '@opentelemetry/winston-transport'
      const exporter = new OTLPLogExporter({ url: URL_ + '/v1/logs' })
      const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] })
      logs.setGlobalLoggerProvider(provider)
      const logger = winston.createLogger({ transports: [new OpenTelemetryTransportV3()] })
      const log = { info: (data, message) => logger.info(message, data) }
      const shutdown = () => provider.shutdown()`,
  },
]

/** What the program does: `exit` ends it in the same turn, `pace` logs until it is told to end or killed, `idle` is the next start. */
const program = `
  const [mode, amount] = process.argv.slice(2)
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const say = (text) => process.stdout.write(text + '\\n')
  if (mode === 'exit') {
    await sleep(1000)
    for (let i = 0; i < amount; i++) log.info({ number: i }, 'line')
    process.exit(0)
  } else if (mode === 'pace') {
    await sleep(500)
    let isEnding = false
    process.stdin.once('data', () => { isEnding = true })
    for (let i = 0; !isEnding; i++) {
      log.info({ number: i }, 'line')
      say(String(i + 1))
      await sleep(Number(amount))
    }
    process.stdin.destroy()
    if (typeof shutdown === 'function') await shutdown()
  } else if (mode === 'trace') {
    for (let i = 0; i < amount; i++) within(i.toString(16).padStart(32, 'a'), () => log.info({ number: i }, 'line'))
    await sleep(3000)
    if (typeof shutdown === 'function') await shutdown()
  } else if (mode === 'cost') {
    const round = async (count) => {
      for (let i = 0; i < count; i += 100) {
        for (let j = 0; j < 100; j++) log.info({ number: i + j, well: 'A1' }, 'Aspirated')
        await sleep(10)
      }
      await sleep(3000)
    }
    await round(5000)
    const before = process.cpuUsage()
    await round(Number(amount))
    const { user, system } = process.cpuUsage(before)
    say('COST ' + (user + system) / amount)
    if (typeof shutdown === 'function') await shutdown()
  } else {
    await sleep(8000)
    if (typeof shutdown === 'function') await shutdown()
  }
`

const outageSeconds = Number(process.argv[2] ?? 60)
const wanted = process.argv[3] ?? ''

interface Row {
  title: string
  exit: string
  kill: string
  outage: string
  traces: string
  cost: string
}

async function main(): Promise<void> {
  const packed = createPackedProject()
  try {
    const rows: Row[] = []
    for (const [index, peer] of peers.entries()) {
      if (!peer.title.includes(wanted)) continue
      console.error(peer.title)
      rows.push(await measure(peer, join(packed.path, `peer-${index}`), packed))
    }
    const heads = [
      'lost at `process.exit()`',
      'lost at SIGKILL',
      `lost in an outage of ${outageSeconds} s`,
      'trace ids kept',
      'processor time a line',
    ]
    console.log(`| | ${heads.join(' | ')} |\n| --- |${' --- |'.repeat(heads.length)}`)
    for (const { title, exit, kill, outage, traces, cost } of rows)
      console.log(`| ${[title, exit, kill, outage, traces, cost].join(' | ')} |`)
  } finally {
    packed.remove()
  }
}

async function measure(peer: Peer, folder: string, packed: PackedProject): Promise<Row> {
  mkdirSync(folder)
  const dependencies = Object.fromEntries(
    Object.entries(peer.packages).map(([name, version]) => [
      name,
      version === 'packed' ? `file:${packed.archive}` : version,
    ]),
  )
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'peer', private: true, dependencies }))
  const installed = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (installed.status !== 0) throw new Error(`${peer.title}: ${installed.stderr}`)
  const port = await findFreePort()
  writeFileSync(
    join(folder, 'program.mjs'),
    `const URL_ = 'http://127.0.0.1:${port}'\n${peer.setUp}\n${program}`,
  )
  const run = (mode: string, amount = 0): ChildProcess =>
    spawn(process.execPath, ['program.mjs', mode, String(amount)], {
      cwd: folder,
      env: { ...process.env, MADSCI_SPOOL_DIR: join(folder, `spool-${mode === 'idle' ? last : mode}`) },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
  let last = ''
  /** Lines that arrive, from a start to the end of the next start; `drive` says how many were logged. */
  async function lost(
    mode: string,
    amount: number,
    drive: (child: ChildProcess, endpoint: Gate) => Promise<number>,
  ) {
    const endpoint = await openGate(port)
    last = mode
    const child = run(mode, amount)
    const logged = await drive(child, endpoint)
    await sleep(3000)
    const before = endpoint.count()
    const next = run('idle')
    await once(next, 'exit')
    await endpoint.close()
    const text = (count: number) => (logged - count).toLocaleString('en-US')
    const after = endpoint.count()
    return `${text(after)} of ${logged.toLocaleString('en-US')}${after === before ? '' : ` (${text(before)} before the next start)`}`
  }

  const exit = await lost('exit', 1000, async (child) => {
    await once(child, 'exit')
    return 1000
  })
  const kill = await lost('pace', 5, async (child) => {
    const said = counter(child)
    await sleep(4000)
    child.kill('SIGKILL')
    await once(child, 'exit')
    return said()
  })
  const outage = await lost('pace', 20, async (child, endpoint) => {
    const said = counter(child)
    await sleep(5000)
    await endpoint.shut()
    await sleep(outageSeconds * 1000)
    await endpoint.reopen()
    await sleep(15_000)
    child.stdin!.write('end\n')
    await once(child, 'exit')
    return said()
  })
  const endpoint = await openGate(port)
  await once(run('trace', 100), 'exit')
  const kept = endpoint.traceIds().filter((id, number) => id === number.toString(16).padStart(32, 'a')).length
  const costing = run('cost', 50_000)
  let text = ''
  costing.stdout!.on('data', (chunk) => {
    text += chunk
  })
  await once(costing, 'exit')
  await endpoint.close()
  const [, cost] = /COST (\S+)/.exec(text) ?? []
  return {
    title: peer.title,
    exit,
    kill,
    outage,
    traces: `${kept} of 100`,
    cost: `${Number(cost).toFixed(1)} µs`,
  }
}

/** How many lines the program says that it logged. */
function counter(child: ChildProcess): () => number {
  let text = ''
  child.stdout!.on('data', (chunk) => {
    text += chunk
  })
  return () => Number(text.trimEnd().split('\n').at(-1) ?? 0)
}

interface Gate {
  count(): number
  /** Of the lines by their number. */
  traceIds(): string[]
  shut(): Promise<void>
  reopen(): Promise<void>
  close(): Promise<void>
}

/** An endpoint that can be away; each line counts once. */
async function openGate(port: number): Promise<Gate> {
  const gone: OtlpEndpoint[] = []
  let endpoint = await startOtlpEndpoint({ port })
  const numbers = () => {
    const found = new Map<number, string>()
    for (const { events } of [...gone, endpoint])
      for (const { event_data, trace_id, otel: more } of events) {
        const attributes = {
          ...(more?.attributes as object | undefined),
          ...(event_data as object | undefined),
        } as { number?: unknown }
        found.set(Number(attributes.number), trace_id ?? '')
      }
    found.delete(Number.NaN)
    return found
  }
  return {
    count: () => numbers().size,
    traceIds: () => [...numbers()].sort(([a], [b]) => a - b).map(([, id]) => id),
    async shut() {
      gone.push(endpoint)
      await endpoint.close()
    },
    async reopen() {
      endpoint = await startOtlpEndpoint({ port })
    },
    close: () => endpoint.close(),
  }
}

await main()
