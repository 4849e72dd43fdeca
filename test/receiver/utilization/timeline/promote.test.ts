import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { heal } from '../../../../receiver/src/transfer/heal.ts'
import { kinds } from '../../../../receiver/src/utilization/timeline/kind.ts'
import { summarize } from '../../../../receiver/src/utilization/timeline/summary.ts'
import { createZone } from '../../../../receiver/src/utilization/timeline/zone.ts'
import { foldOf, parseRecording } from '../../../support/lab-event.ts'

const filter = {
  kinds,
  nodeId: undefined,
  workcellId: undefined,
  user: undefined,
  experimentId: undefined,
}

function read(text: string) {
  const events = parseRecording(text)
  const times = events.map(({ at }) => at)
  const window = { start: Math.min(...times), end: Math.max(...times) + 1 }
  const fold = foldOf(events)
  const options = { bucket: undefined, zone: createZone('UTC') }
  return {
    nodes: summarize(fold, filter, window, { by: 'node', ...options }),
    users: summarize(fold, filter, window, { by: 'user', ...options }),
    starts: events.filter(({ type }) => type === 'workcell_start').length,
  }
}

it('what import promotes of a real laboratory says what it said before', () => {
  const text = readFileSync(join(import.meta.dirname, 'lab/real-lab-0.8.1.ndjson'), 'utf8')
  let promoted = 0
  const healed = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const event = JSON.parse(line)
      const outcome = heal(event, { promote: true })
      if ('done' in outcome && outcome.done.includes('type_promoted')) promoted++
      return JSON.stringify(event)
    })
    .join('\n')
  expect(promoted).toBeGreaterThan(0)
  expect(read(healed)).toEqual(read(text))
})
