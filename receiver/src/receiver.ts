import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId, createZoneConverter, type Event, EventError } from '@madsci-events/sdk/event'
import { type Alerts, createMatchOf, startAlerts, toWatch } from './alert/alerts.ts'
import { createPreviews } from './alert/preview.ts'
import { readAlertSettings } from './alert/setting.ts'
import { createBackups } from './backup/backup.ts'
import { startSchedule } from './backup/schedule.ts'
import { type Canary, startCanary } from './canary.ts'
import { createClients } from './client.ts'
import type { Config, ConfigCheck } from './config/config.ts'
import { type Conservation, type ConservationTimes, startConservation } from './conservation/conservation.ts'
import { openStore } from './database.ts'
import { examineRunning } from './doctor/running.ts'
import { type Fanout, startFanout } from './fanout/fanout.ts'
import { createDrop, createPassOn } from './fanout/pass-on.ts'
import { createGrpcServer } from './grpc/server.ts'
import { createHttpServer, createOtlpServer, type HttpServer } from './http/server.ts'
import { createAttempts } from './ingest/attempt.ts'
import { createIngest } from './ingest/ingest.ts'
import { createUnpacker } from './ingest/unpack.ts'
import { listen, listenIfFree } from './listen.ts'
import type { Log } from './log.ts'
import { createMetric, type Metric } from './metric.ts'
import { toDestination, toFolder, toRateLimit, toRetention, toSettings } from './receiver-options.ts'
import { databaseOf, traceChannels, traceQueries, traceReports } from './receiver-trace.ts'
import { resolveManagerId } from './registry.ts'
import { startRetention } from './retention/retention.ts'
import type { EventStore } from './store/event-store.ts'
import { isOwnEndpoint, startTelemetry } from './telemetry.ts'
import { isHttpEndpoint, showUrl, splitLogin } from './url.ts'
import { tightenReports } from './utilization/report-file.ts'
import { createUtilization } from './utilization/thread.ts'
import { version } from './version.ts'

export interface StartOptions {
  log: Log
  /** Where a relative database path begins. */
  workingDirectory: string
  /** Where secrets of channels may lie (`secret_env`). */
  environment?: { readonly [name: string]: string | undefined }
  conservation?: ConservationTimes
  /** After which a canary is lost; 30 s if not given. */
  canaryTimeoutMs?: number
  /** After which other receivers go on with what a silent one held; if not given, each kind of work has its own. */
  leaseMs?: number
}

export interface Receiver {
  /** Address of REST and OTLP, with the port that was taken. */
  readonly url: string
  /** Address of the second OTLP listener; undefined when there is none. */
  readonly otlpUrl: string | undefined
  /** Address of OTLP/gRPC, as clients take it; undefined when there is none. */
  readonly grpcUrl: string | undefined
  /** Where the events rest, without secrets. */
  readonly storeText: string
  readonly metric: Metric
  /**
   * New requests get 503 with Retry-After, those under way end, then the store closes.
   * False when some had to be cut off after `shutdownTimeoutMs`; none of those was acknowledged.
   */
  close(): Promise<boolean>
}

const fanoutStartMs = 3000

/** Connects the rooms and listens. Throws EVT_STORE_LOCKED, EVT_SCHEMA_VERSION, and EVT_CONFIG for a port that is taken. */
export async function startReceiver(config: Config, given: StartOptions): Promise<Receiver> {
  const metric = createMetric()
  const environment = given.environment ?? {}
  const telemetry =
    isExporting(config) && environment.OTEL_SDK_DISABLED?.trim().toLowerCase() !== 'true'
      ? await startTelemetry({ ...toTelemetry(config), metric, environment })
      : undefined
  const tracing = telemetry?.tracing
  const options = telemetry ? { ...given, log: telemetry.tee(given.log) } : given
  const { log } = options
  const settings = readAlertSettings(toAlertSettings(config, options.environment))
  const telling = tracing ? { ...settings, channels: traceChannels(settings.channels, tracing) } : settings
  const opened = await openStore(config, { ...options, ownsDeletion: config.retentionEnabled })
  const { storeText } = opened
  let conservation: Conservation | undefined
  const kept = tellPurges(opened.store, () => conservation?.notePurge())
  const store = tracing ? traceQueries(kept) : kept
  const servers: HttpServer[] = []
  // What works beside the requests.
  const ending: { close(): Promise<void> }[] = []
  try {
    let alerts: Alerts | undefined
    const isTelling = telling.isWanted && store.alerts !== undefined
    let fanout: Fanout | undefined
    let canary: Canary | undefined
    const ingest = createIngest({
      store,
      metric,
      onReceipt({ stored }, isRest) {
        if (stored > 0) fanout?.wake(isRest)
      },
      match: isTelling ? createMatchOf(telling.ruleSet, { log, metric }) : undefined,
      onMatch: () => alerts?.wake(),
      watch: (events) => conservation?.begin(events),
      maxInFlightBytes: config.maxInFlightBytes,
      maxBatchEvents: config.maxBatchEvents,
      database: databaseOf(store),
    })
    conservation = startConservation({
      store,
      metric,
      log,
      unsettledEvents: () => ingest.unsettledEvents,
      ...options.conservation,
    })
    ending.push(conservation)
    const { maxBodyBytes, requestTimeoutMs, queryTimeoutMs, writeTimeoutMs } = config
    const parse = {
      managerId: await toManagerId(config, options),
      ...(config.naiveTimezone !== undefined && { fromNaive: createZoneConverter(config.naiveTimezone) }),
    }
    if (telling.isWanted && !isTelling)
      log.warn({}, 'nothing is kept here, and so no alerts are raised, whatever channels and rules are set')
    if (isTelling) {
      alerts = startAlerts({
        store,
        alerts: store.alerts!,
        ...telling,
        alertLevel: config.alertLevel,
        publicUrl: config.publicUrl ?? splitLogin(config.serverUrl).url.href,
        eventPath: config.pages === 'off' ? 'event' : 'e',
        managerId: parse.managerId,
        report: async (event) => void (await ingest.acceptQuietly([event])),
        leaseMs: options.leaseMs,
        log,
        metric,
      })
      ending.push(alerts)
    }
    const { documents, encoderUrl } = store
    const { managerId } = parse
    const told = { log, managerId, report: (event: Event) => ingest.acceptOwn([event]) }
    const unpacker = createUnpacker({
      documents,
      encoderUrl,
      managerId,
      naiveTimezone: config.naiveTimezone,
      watch: isTelling ? toWatch(telling.ruleSet) : undefined,
    })
    ending.push(unpacker)
    const door = {
      ingest,
      unpacker,
      attempts: createAttempts(),
      store,
      metric,
      log,
      maxBodyBytes,
      maxRequestRecords: config.maxRequestRecords,
      maxConnections: config.maxConnections,
      clients: createClients(config.trustedProxies),
      corsOrigins: config.corsOrigins,
      allowedHosts: [
        ...config.allowedHosts,
        hostname(),
        config.serverUrl.hostname,
        ...(config.publicUrl === undefined ? [] : [new URL(config.publicUrl).hostname]),
      ],
      requestTimeoutMs,
      queryTimeoutMs,
      writeTimeoutMs,
      archiveBatchSize: config.archiveBatchSize,
      parse,
      version,
      tracing,
      passOn: config.otlpForwardUrl ? createPassOn(config.otlpForwardUrl) : createDrop({ log, metric }),
      fanoutHealth: config.fanout.length > 0 ? () => fanout?.health() ?? [] : undefined,
    }
    if (config.fanout.length > 0) {
      fanout = startFanout({
        store,
        destinations: config.fanout.map(toDestination),
        serviceName: toName(config),
        onCanary: (name, id) => canary?.acknowledge(name, id),
        tracing,
        metric,
        log,
        ...(options.leaseMs !== undefined && { leaseMs: options.leaseMs }),
      })
      ending.push(fanout)
      // A database that is away must not keep us from listening.
      await within(fanout.ready, fanoutStartMs)
    }
    const backupDir = toFolder(config.backupDir, config, options)
    const reportDir = toFolder(config.reportDir, config, options)
    const reportCount = tightenReports(reportDir)
    if (reportCount > 0)
      log.warn(
        { folder: reportDir, count: reportCount },
        'other users could read these reports; they no longer can',
      )
    const backups = createBackups({
      store,
      log,
      metric,
      folder: backupDir,
      databaseName: config.databaseName,
      maxCount: config.backupMaxCount,
    })
    if (config.retentionEnabled) ending.push(startRetention({ ...toRetention(config), store, log }))
    if (config.backupEnabled)
      ending.push(startSchedule({ pattern: config.backupSchedule ?? '@daily', backups, ...told }))
    const reports = createUtilization(
      { source: store.scanSource, timeoutMs: queryTimeoutMs },
      store.commitCursor,
    )
    ending.push(reports)
    const utilization = tracing ? traceReports(reports) : reports
    const main = await createHttpServer({
      ...door,
      alerts,
      previews: {
        run: createPreviews({ store, windows: telling.ruleSet }),
        ruleSet: telling.ruleSet,
        alertLevel: config.alertLevel,
        channels: [...telling.channels.keys()],
      },
      backups,
      backupEnabled: config.backupEnabled,
      backupDir,
      utilization,
      reportDir,
      title: toName(config),
      description: config.managerDescription,
      settings: toSettings(config, {
        manager_id: parse.managerId,
        backup_dir: backupDir,
        report_dir: reportDir,
      }),
      rateLimit: toRateLimit(config),
      conservationHealth: conservation.health,
      backupHealth: config.backupEnabled ? backups.health : undefined,
      canaryHealth: () => canary?.health(),
      otel: toOtel(config, () => telemetry?.isRunning() === true),
      explorerUrl: config.explorerUrl ?? (config.pages === 'off' ? undefined : '/e/{event_id}'),
      pages: config.pages,
      examine: (newest) =>
        examineRunning(config, { workingDirectory: options.workingDirectory, backupDir, newest }),
      zone: config.naiveTimezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
      definition: {
        name: toName(config),
        description: config.managerDescription ?? null,
        manager_id: parse.managerId,
        manager_type: config.managerType,
      },
    })
    servers.push(main)
    const host = config.serverUrl.hostname.replace(/^\[|\]$/g, '')
    const port = await listen(main, host, Number(config.serverUrl.port || 80), 'server_url')
    const otlp = await createOtlpServer(door)
    servers.push(otlp)
    const optional = { host, config, log }
    const otlpPort = await listenIfFree(otlp, 'otlp_port', config.otlpPort, optional)
    const grpc = createGrpcServer({ ...door, isServing: async () => (await store.health()).connected })
    servers.push(grpc)
    const grpcPort = await listenIfFree(grpc, 'grpc_port', config.grpcPort, optional)

    const endpoint = telemetry && toTelemetry(config).endpoint
    if (telemetry && endpoint !== undefined) {
      const urls = [config.serverUrl.port === '0' ? [] : config.serverUrl.href, config.publicUrl ?? []].flat()
      if (await isOwnEndpoint(endpoint, [port, otlpPort, grpcPort], urls)) {
        await telemetry.refuse()
        log.error(
          { endpoint: showUrl(endpoint) },
          'otel_endpoint is this receiver itself, which would report about its own reports without end: nothing is sent; name a Collector or another receiver, or set otel_enabled=false',
        )
      }
    }
    if (config.canaryIntervalSeconds > 0)
      canary = startCanary({
        url: `http://${ownHostOf(config)}:${port}/`,
        managerId: parse.managerId,
        intervalMs: config.canaryIntervalSeconds * 1000,
        timeoutMs: options.canaryTimeoutMs,
        destinations: () => fanout?.forwarding() ?? [],
        metric,
        log,
      })

    const at = (number: number) => `http://${config.serverUrl.hostname}:${number}`
    return {
      url: `${at(port)}/`,
      otlpUrl: otlpPort === undefined ? undefined : `${at(otlpPort)}/v1/logs`,
      grpcUrl: grpcPort === undefined ? undefined : at(grpcPort),
      storeText,
      metric,
      async close() {
        ingest.announceClose()
        await canary?.close()
        if (config.drainDelayMs > 0) await sleep(config.drainDelayMs)
        const drained = Promise.all([ingest.close(), ...servers.map((server) => server.close())])
        const clean = await within(drained, config.shutdownTimeoutMs)
        if (!clean) for (const server of servers) server.destroy()
        await drained
        await Promise.all(ending.map((one) => one.close()))
        await store.close()
        await telemetry?.close()
        return clean
      },
    }
  } catch (error) {
    await Promise.all([...servers, ...ending].map((one) => one.close()))
    await store.close()
    await telemetry?.close()
    throw error
  }
}

const toAlertSettings = (config: Config, environment: StartOptions['environment'] = {}) => ({
  ...config,
  isGiven: config.given.has('alert_rules'),
  environment,
})

/** Rules and channels of alerts, which are judged where they are used. */
export function createAlertCheck(environment: StartOptions['environment']): ConfigCheck {
  return {
    settings: ['email_alerts', 'alert_channels', 'alert_rules', 'alert_quiet_hours', 'alert_maintenance'],
    find(config) {
      try {
        readAlertSettings(toAlertSettings(config, environment))
        return []
      } catch (error) {
        if (error instanceof EventError && error.code === 'EVT_CONFIG') return error.message.split('\n')
        throw error
      }
    },
  }
}

/** Under which the receiver reaches itself. */
function ownHostOf({ serverUrl: { hostname } }: Config): string {
  return hostname === '0.0.0.0' ? '127.0.0.1' : hostname === '[::]' ? '[::1]' : hostname
}

const toName = (config: Config) => config.managerName ?? 'EventManager'

async function toManagerId(config: Config, { log, workingDirectory }: StartOptions): Promise<string> {
  if (config.managerId !== undefined) return config.managerId
  if (!config.enableRegistryResolution) return createEventId()
  return resolveManagerId({ name: toName(config), start: config.settingsFolder ?? workingDirectory, log })
}

/** The store itself, which calls `onPurge` before and after it deletes events. */
function tellPurges(store: EventStore, onPurge: () => void): EventStore {
  return {
    ...store,
    async *purge(beforeMs, options) {
      onPurge()
      for await (const count of store.purge(beforeMs, options)) {
        onPurge()
        yield count
      }
    },
  }
}

/** Whether there is somewhere to which the receiver's own telemetry goes. */
export const isExporting = ({ otelEnabled, otelExporter, otelEndpoint }: Config) =>
  otelEnabled && (otelExporter === 'console' || (otelExporter === 'otlp' && isHttpEndpoint(otelEndpoint)))

const toTelemetry = (config: Config) => ({
  endpoint: config.otelExporter === 'otlp' ? config.otelEndpoint : undefined,
  protocol: config.otelProtocol,
  serviceName: config.otelServiceName ?? toName(config),
  version,
})

/** Where nothing runs, the settings are told, as the original tells them without its extra. */
function toOtel({ otelEnabled, otelExporter, otelEndpoint }: Config, isRunning: () => boolean) {
  return otelEnabled
    ? { isRunning, exporter: otelExporter, endpoint: otelEndpoint && showUrl(otelEndpoint) }
    : undefined
}

async function within(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((settle) => {
    timer = setTimeout(() => settle(false), timeoutMs)
  })
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
