import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { EventScan, ScannedEvent } from '../../../receiver/src/store/event-scan.ts'
import { createReportEngine } from '../../../receiver/src/utilization/report-engine.ts'
import { createUtilization } from '../../../receiver/src/utilization/thread.ts'
import { createTimelineEngine } from '../../../receiver/src/utilization/timeline/timeline-engine.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A workcell, a node and workflows that begin and end. */
function scan(): EventScan {
  const events = Array.from({ length: 40 }, (_, index): ScannedEvent => {
    const types = [
      'workcell_start',
      'node_start',
      'action_status_change',
      'workflow_start',
      'workflow_complete',
    ]
    const data: { [name: string]: string } = {
      workflow_id: `w${index % 3}`,
      action_id: `a${index % 2}`,
      status: index % 2 ? 'running' : 'completed',
    }
    const source: { [name: string]: string } = { workcell_id: 'cell', node_id: 'node' }
    return {
      id: `event ${index}`,
      type: types[index % types.length]!,
      micros: (1_000_000 + index * 60) * 1e6,
      source: (name) => source[name],
      data: () => data,
      field: (name) => data[name],
    }
  })
  return {
    async read(from, _types, take) {
      if (!from) for (const event of events) take(event)
      return { atMs: 0 }
    },
    close: async () => {},
  }
}

describe('the time limit of reports', () => {
  it('ends what computes too long with EVT_QUERY_TIMEOUT, whatever the report', async () => {
    const timeoutMs = 1e-6
    const original = createReportEngine(scan(), { timeoutMs })
    const unhurried = createReportEngine(scan(), { timeoutMs: 0 })
    const timeline = createTimelineEngine(scan(), unhurried, { timeoutMs })
    const window = { start_time: '1970-01-12T13:00:00', end_time: '1970-01-13' }
    for (const [engine, report] of [
      [original, 'sessions'],
      [original, 'periods'],
      [timeline, 'timeline'],
      [timeline, 'summary'],
      [timeline, 'waits'],
      [timeline, 'compare'],
    ] as const)
      await expect(engine.answer({ report, parameters: window }), report).rejects.toMatchObject({
        code: 'EVT_QUERY_TIMEOUT',
        status: 400,
        retry: false,
      })
  })

  it('tells to ask again later when what a report needs has not been read in time', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    cleanups.push(() => silent.close())
    const { port } = silent.address() as AddressInfo
    const utilization = createUtilization({
      source: {
        kind: 'mongodb',
        url: `mongodb://127.0.0.1:${port}/?serverSelectionTimeoutMS=60000&connectTimeoutMS=60000`,
        databaseName: 'none',
        collectionName: 'events',
      },
      timeoutMs: 1,
    })
    cleanups.push(() => utilization.close())
    await expect(utilization.ask({ report: 'sessions', parameters: {} })).rejects.toMatchObject({
      code: 'EVT_STORE_UNAVAILABLE',
      status: 503,
      retryAfterSeconds: 10,
      message: expect.stringContaining('not ready yet'),
    })
  })
})
