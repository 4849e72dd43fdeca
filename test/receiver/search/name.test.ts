import { EventError } from '@madsci-events/sdk/event'
import { expect, it } from 'vitest'
import { createNameFinder, findLateNames } from '../../../receiver/src/search/name.ts'
import { parseSearch, type Search } from '../../../receiver/src/search/search.ts'
import type { EventSource, FindQuery, StoredEvent } from '../../../receiver/src/store/event-store.ts'

const id = '01KBVX3V6N0000000000000001'
const json = JSON.stringify({ _id: 'e', source: { node_id: id }, event_data: { node_name: 'arm' } })

/** Finds nothing in less than `neededMs`. */
function createSlowSource(neededMs: number) {
  const asked: (number | undefined)[] = []
  const source: Pick<EventSource, 'find'> = {
    async *find({ timeoutMs }: FindQuery) {
      asked.push(timeoutMs)
      if (timeoutMs !== undefined && timeoutMs > 0 && timeoutMs < neededMs)
        throw new EventError('EVT_QUERY_TIMEOUT', 'too long')
      yield [{ id: 'e', json } as StoredEvent]
    },
  }
  return { source, asked }
}

const arm = { kind: 'node', name: 'arm' } as const

it('says that ids were not found in time, and finds them for who waits longer; all doors know them then', async () => {
  const { source, asked } = createSlowSource(2000)
  const idsOf = createNameFinder(source)('someone')
  expect(await idsOf(arm)).toEqual({ ids: [], isLate: true })
  const search = parseSearch('-node:arm tip', { now: new Date() }) as Search
  expect(await findLateNames(search, idsOf, 500)).toEqual(['arm'])
  expect(asked).toEqual([500])
  expect(await findLateNames(search, idsOf, 5000)).toEqual([])
  // Another door, with its usual patience.
  expect(await createNameFinder(source)('another')(arm)).toEqual({ ids: [id], isLate: false })
  expect(asked).toEqual([500, 5000])
})

it('looks for no name of a line without names', async () => {
  const { source, asked } = createSlowSource(2000)
  const search = parseSearch(`tip node:${id}`, { now: new Date() }) as Search
  expect(await findLateNames(search, createNameFinder(source)('someone'), 500)).toEqual([])
  expect(asked).toEqual([])
})
