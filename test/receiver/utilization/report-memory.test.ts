import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import type { EventScan, ScannedEvent } from '../../../receiver/src/store/event-scan.ts'
import { createReportEngine } from '../../../receiver/src/utilization/report-engine.ts'

const day = 86_400e6

/** Nodes that tell their status and run actions, and logs, over ten sessions; made as they are read. */
function historyOf(count: number, reads: { cold: number }): EventScan {
  return {
    async read(from, _types, take) {
      if (from) return from
      reads.cold++
      let data: { [name: string]: string } = {}
      const source: { [name: string]: string } = {}
      const event = {
        id: '',
        type: '',
        micros: 0,
        source: (name: string) => source[name],
        data: () => data,
        field: (name: string) => data[name],
      } satisfies ScannedEvent
      const put = (type: string, micros: number, content: { [name: string]: string } = {}) => {
        Object.assign(event, { id: `event ${micros}`, type, micros })
        data = content
        take(event)
      }
      for (let session = 0; session < 10; session++) {
        source.workcell_id = 'cell'
        delete source.node_id
        put('workcell_start', session * day + 1)
        const events = count / 10
        for (let index = 0; index < events; index++) {
          source.node_id = `node ${index % 10}`
          const micros = Math.round(session * day + 2 + ((day - 10) * index) / events)
          const isEnd = index % 20 >= 10
          const content = { action_id: `${session} ${Math.floor(index / 20)} ${index % 10}` }
          if (index % 5 < 2) put('node_status_update', micros)
          else if (index % 5 < 4)
            put('action_status_change', micros, { ...content, status: isEnd ? 'succeeded' : 'running' })
          else put('log_info', micros)
        }
        delete source.node_id
        put('workcell_stop', session * day + day - 1)
      }
      return { atMs: 0 }
    },
    close: async () => {},
  }
}

async function measure(count: number): Promise<{ bytes: number; cold: number; report: object }> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const used = () => {
    gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = used()
  const reads = { cold: 0 }
  const engine = createReportEngine(historyOf(count, reads), { timeoutMs: 0, keptRows: 5000 })
  const ask = async () => {
    let text = ''
    const { pieces } = await engine.answer({ report: 'sessions', parameters: {} })
    for await (const piece of pieces) text += piece
    return JSON.parse(text)
  }
  const report = await ask()
  const bytes = used() - before
  // The engine is alive until here.
  expect((await ask()).session_details).toEqual(report.session_details)
  return { bytes, cold: reads.cold, report: report.overall_summary }
}

it('reports are made in one reading, in memory by nodes and sessions, not by events', async () => {
  await measure(20_000)
  const small = await measure(100_000)
  const large = await measure(500_000)
  expect(small.report).toMatchObject({ total_sessions: 10, nodes_tracked: 8 })
  expect(large.report).toMatchObject({ total_sessions: 10, nodes_tracked: 8 })
  expect([small.cold, large.cold]).toEqual([1, 1])
  // Kept rows, at 21 bytes each, would have taken 6.7 MB more.
  expect(large.bytes - small.bytes).toBeLessThan(1_000_000)
})
