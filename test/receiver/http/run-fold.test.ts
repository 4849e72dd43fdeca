import { expect, it } from 'vitest'
import { toRunRows } from '../../../receiver/src/http/run-fold.ts'
import type { TimelineEntity } from '../../../receiver/src/utilization/timeline/timeline.ts'

const entity = (kind: string, id: string, links: object = {}) =>
  ({ kind, id, name: null, totals_us: {}, intervals: [], ...links }) as unknown as TimelineEntity

it('rows lie below each other as their ids say, each once', () => {
  const own = entity('workflow', 'w')
  const [step, action, lost] = [
    entity('step', 's', { workflow_id: 'w' }),
    entity('action', 'a', { workflow_id: 'w', step_id: 's' }),
    entity('action', 'b', { step_id: 'nowhere' }),
  ]
  const rows = toRunRows([lost, action, own, step, entity('step', 'w', { step_id: 'w' })], own, new Map())
  expect(rows.map(({ kind, id }) => `${kind} ${id}`)).toEqual([
    'workflow w',
    'step s',
    'action a',
    'step w',
    'action b',
  ])
})

it('a chain of any length is a list', () => {
  const own = entity('workflow', '0')
  const chain = Array.from({ length: 50_000 }, (_, i) => entity('action', `${i + 1}`, { step_id: `${i}` }))
  expect(toRunRows([own, ...chain], own, new Map())).toHaveLength(50_001)
})
