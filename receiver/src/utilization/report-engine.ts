import { EventError } from '@madsci-events/sdk/event'
import type { EventScan } from '../store/event-scan.ts'
import type { Engine } from './engine.ts'

export function createReportEngine(_scan: EventScan, _options: { timeoutMs: number }): Engine {
  return {
    reports: ['sessions', 'periods', 'user'],
    async answer() {
      throw new EventError('EVT_NOT_FOUND')
    },
  }
}
