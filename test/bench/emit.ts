// What does one events.info() cost its caller, beside bare OpenTelemetry, pino and winston, and does it hold the loop up?
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientOptions, EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { destination, pino } from 'pino'
import { createLogger, transports } from 'winston'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { type Bench, createReport, median } from './figure.ts'

interface Subject {
  name: string
  call(number: number): void
  /** Until what was called for is delivered, so that the next round starts with an empty queue. */
  settle(): Promise<unknown>
  close(): Promise<unknown>
}

// As many as OpenTelemetry's queue takes; it drops the rest.
const callsPerRound = 2000

export const emitBench: Bench = {
  question: 'one call in the program, beside bare OpenTelemetry emit, pino to a file and winston',
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const sink = await spawnReceiver({
      flags: { server_url: 'http://127.0.0.1:0/', document_db_url: 'null:', log_level: 'error' },
    })
    const subjects = createSubjects(sink.url, folder)
    try {
      const rounds = Math.max(4, Math.round(60 * scale))
      const costs = new Map<string, number[]>(subjects.map(({ name }) => [name, []]))
      for (let round = -2; round < rounds; round++) {
        for (const subject of subjects) {
          const start = performance.now()
          for (let i = 0; i < callsPerRound; i++) subject.call(i)
          const micros = ((performance.now() - start) * 1000) / callsPerRound
          if (round >= 0) costs.get(subject.name)!.push(micros)
          await subject.settle()
        }
      }
      for (const [name, list] of costs) report.note(name, median(list), 'µs a call')
      const ratio = (ours: string) => {
        const bare = costs.get(bareName)!
        return median(costs.get(ours)!.map((cost, round) => cost / bare[round]!))
      }
      report.judge({ what: `${offName} / bare`, ratio: ratio(offName), kind: 'most', bound: 1.2 })
      report.judge({ what: `${onName} / bare`, ratio: ratio(onName), kind: 'most', bound: 1.8 })
      for (const subject of subjects) await subject.close()
      await measureStall(report, { url: sink.url, folder, seconds: Math.max(1, 10 * scale) })
      await measureBurst(report, folder, Math.max(2000, Math.round(100_000 * scale)))
      return report
    } finally {
      sink.kill('SIGTERM')
      await sink.exited
      await rm(folder, { recursive: true, force: true })
    }
  },
}

const bareName = 'bare OpenTelemetry emit, the same record with an id'
const offName = 'events.info, spool off'
const onName = 'events.info, spool async'

function createSubjects(url: string, folder: string): Subject[] {
  const client = (name: string, options: ClientOptions): Subject => {
    const events = new EventClient({ url, name: 'bench', spoolDir: folder, ...options })
    return {
      name,
      call: (volume_ul) => void events.info('Aspirated', { volume_ul, well: 'A1' }),
      settle: () => events.flush(),
      close: () => events.close(),
    }
  }
  const bare = (name: string, emit: (logger: ReturnType<LoggerProvider['getLogger']>, i: number) => void) => {
    const exporter = new OTLPLogExporter({ url: `${url}v1/logs` })
    const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] })
    const logger = provider.getLogger('bench')
    return {
      name,
      call: (i: number) => emit(logger, i),
      settle: () => provider.forceFlush(),
      close: () => provider.shutdown(),
    }
  }
  const file = destination({ dest: join(folder, 'pino.log'), sync: true })
  const pinoLogger = pino({ level: 'info' }, file)
  const winstonFile = new transports.File({ filename: join(folder, 'winston.log') })
  const winstonLogger = createLogger({ level: 'info', transports: [winstonFile] })
  return [
    bare(bareName, (logger, volume_ul) =>
      logger.emit({
        timestamp: Date.now(),
        severityNumber: 9,
        severityText: 'INFO',
        eventName: 'madsci.log_info',
        body: 'Aspirated',
        attributes: {
          'log.record.uid': createEventId(),
          'madsci.event.type': 'log_info',
          'madsci.event.data': { message: 'Aspirated', volume_ul, well: 'A1' },
        },
      }),
    ),
    client(offName, { spool: false }),
    client(onName, { spool: 'async' }),
    bare('bare OpenTelemetry emit, a text and two attributes, no id', (logger, i) =>
      logger.emit({
        severityNumber: 9,
        severityText: 'INFO',
        body: 'Aspirated',
        attributes: { volume_ul: i, well: 'A1' },
      }),
    ),
    {
      name: 'pino to a file',
      call: (volume_ul) => pinoLogger.info({ volume_ul, well: 'A1' }, 'Aspirated'),
      settle: () => sleep(1),
      close: async () => file.end(),
    },
    {
      name: 'winston to a file',
      call: (volume_ul) => void winstonLogger.info('Aspirated', { volume_ul, well: 'A1' }),
      settle: () => sleep(50),
      close: async () => {
        winstonLogger.end()
        await once(winstonFile, 'finish')
      },
    },
  ]
}

interface StallOptions {
  url: string
  folder: string
  seconds: number
}

/** 10,000 events a second, ten each millisecond, and how late timers are meanwhile. */
async function measureStall(report: ReturnType<typeof createReport>, options: StallOptions): Promise<void> {
  const { url, folder, seconds } = options
  const run = async (emit: () => void) => {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    const start = performance.now()
    let emitted = 0
    delay.enable()
    while (performance.now() - start < seconds * 1000) {
      for (const due = Math.floor((performance.now() - start) * 10); emitted < due; emitted++) emit()
      await sleep(1)
    }
    delay.disable()
    return { p99: delay.percentile(99) / 1e6, rate: emitted / seconds }
  }
  const idle = await run(() => {})
  const events = new EventClient({ url, name: 'bench', spoolDir: folder })
  const busy = await run(() => void events.info('Aspirated', { volume_ul: 50, well: 'A1' }))
  await events.close()
  const { emitted, exported } = events.stats
  if (exported !== emitted) throw new Error(`${emitted} events emitted, ${exported} exported`)
  report.note('timers of 1 ms, p99, nothing emitted', idle.p99, 'ms')
  report.note(`timers of 1 ms, p99, at ${Math.round(busy.rate)} events/s`, busy.p99, 'ms')
  report.judge({ what: 'event-loop stall p99, ms', ratio: busy.p99, kind: 'most', bound: 5 })
}

async function measureBurst(
  report: ReturnType<typeof createReport>,
  folder: string,
  count: number,
): Promise<void> {
  const receiver: ReceiverProcess = await spawnReceiver({
    flags: {
      server_url: 'http://127.0.0.1:0/',
      document_db_url: `sqlite:${join(folder, 'burst.db')}`,
      log_level: 'error',
    },
  })
  try {
    const events = new EventClient({ url: receiver.url, name: 'bench', spoolDir: folder })
    const start = performance.now()
    for (let number = 0; number < count; number++) events.info('Aspirated', { number })
    const tickMs = performance.now() - start
    await events.flush({ timeoutMs: 60_000 })
    const health = (await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }
    const lost = count - health.total_events
    if (lost !== 0) throw new Error(`${lost} of ${count} events were not stored`)
    report.note(`${count} events in one tick: the tick`, tickMs, 'ms')
    report.note(`${count} events in one tick: until all are stored`, performance.now() - start, 'ms')
    report.judge({ what: 'events of the burst that were lost', ratio: lost, kind: 'most', bound: 0 })
    await events.close()
  } finally {
    receiver.kill('SIGTERM')
    await receiver.exited
  }
}
