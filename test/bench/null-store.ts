// What does taking an event cost the receiver without a store, beside the Collector with its nop exporter?
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeForeignRequests } from '../support/foreign.ts'
import { cpuMsOf, prepareRequest, sendAll } from '../support/load.ts'
import { encodeLogs } from '../support/otlp.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort, spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'

export const nullStoreBench: Bench = {
  question: 'CPU an event without a store, beside the OpenTelemetry Collector with its nop exporter',
  async run(scale) {
    const report = createReport(this.question)
    const otelcol = findPeer('OTELCOL_BINARY')
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const receiver = await spawnReceiver({
      flags: { server_url: 'http://127.0.0.1:0/', document_db_url: 'null:', log_level: 'error' },
    })
    const collectorPort = await findFreePort()
    const config = {
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${collectorPort}` } } } },
      exporters: { nop: {} },
      service: {
        telemetry: { metrics: { level: 'none' } },
        pipelines: { logs: { receivers: ['otlp'], exporters: ['nop'] } },
      },
    }
    await writeFile(join(folder, 'config.yaml'), JSON.stringify(config))
    const collector =
      'path' in otelcol ? spawnPeer(otelcol.path, ['--config', join(folder, 'config.yaml')]) : undefined
    if ('skip' in otelcol) report.skipped.push(otelcol.skip)
    try {
      if (collector) await waitForPort(collectorPort, collector)
      const count = Math.max(2000, Math.round(100_000 * scale))
      const toRequest = (body: Uint8Array) =>
        prepareRequest(body, { path: '/v1/logs', contentType: 'application/x-protobuf' })
      const kinds = [
        {
          name: '',
          bodies: toBatches(makeEvents(count), 1000).map((batch) => encodeLogs(batch)),
          bound: 1,
        },
        { name: ', foreign records', bodies: makeForeignRequests(count, 1000), bound: 1.3 },
      ]
      const port = Number(new URL(receiver.url).port)
      for (const { name, bodies, bound } of kinds) {
        const prepared = bodies.map(toRequest)
        // The same bytes again and again: nothing is stored, so nothing can tell.
        const requests = Array.from({ length: Math.max(1, Math.round(3 * scale)) }, () => prepared).flat()
        const measure = async (pid: number, port: number) => {
          const cpuBefore = cpuMsOf(pid)
          const { elapsedMs, statuses } = await sendAll({ port, requests, connections: 4 })
          if (statuses.get(200) !== requests.length)
            throw new Error(`answers: ${JSON.stringify([...statuses])}`)
          const events = (requests.length / prepared.length) * count
          const cpuMs = cpuBefore === undefined ? Number.NaN : cpuMsOf(pid)! - cpuBefore
          return { rate: (events / elapsedMs) * 1000, cpu: (cpuMs * 1000) / events }
        }
        await sendAll({ port, requests: prepared, connections: 2 })
        const ours: { rate: number; cpu: number }[] = []
        const theirs: { rate: number; cpu: number }[] = []
        for (let round = 0; round < 3; round++) {
          ours.push(await measure(receiver.pid, port))
          if (collector) theirs.push(await measure(collector.pid, collectorPort))
        }
        report.note(`receiver, null store${name}`, median(ours.map(({ rate }) => rate)), 'events/s')
        report.note(`receiver, null store${name}`, median(ours.map(({ cpu }) => cpu)), 'µs CPU an event')
        if (theirs.length === 0) continue
        report.note(`Collector, nop exporter${name}`, median(theirs.map(({ rate }) => rate)), 'events/s')
        report.note(`Collector, nop exporter${name}`, median(theirs.map(({ cpu }) => cpu)), 'µs CPU an event')
        report.judge({
          what: `CPU an event${name}, receiver / Collector`,
          ratio: median(ours.map(({ cpu }, round) => cpu / theirs[round]!.cpu)),
          kind: 'most',
          bound,
        })
      }
      return report
    } finally {
      receiver.kill('SIGTERM')
      await receiver.exited
      await collector?.stop()
      await rm(folder, { recursive: true, force: true })
    }
  },
}
