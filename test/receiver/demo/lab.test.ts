import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { startLab } from '../../../receiver/src/demo/lab.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

it('the simulated laboratory is the same one at each start, and a failure is one alert', async () => {
  const receiver = await startTestReceiver()
  cleanups.push(() => receiver.close())
  const spoolDir = join(receiver.folder, 'spool')
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into as they are
  const get = async (path: string): Promise<any> => (await fetch(receiver.url + path)).json()
  for (let start = 0; start < 2; start++) {
    const lab = startLab({ url: receiver.url, spoolDir, speed: 100, failureRate: 1 })
    await expect.poll(() => lab.figures.workflowsFailed).toBeGreaterThan(2)
    await lab.close()
  }
  const { items } = await get('utilization/summary?by=node')
  const names = ['incubator', 'liquid-handler', 'plate-reader', 'robot-arm', 'sealer']
  expect(items.map(({ name }: { name: string }) => name).sort()).toEqual(names)
  const types = await get('utilization/summary?by=workflow_type')
  expect(types.items.map(({ id }: { id: string }) => id).sort()).toEqual(['assay', 'culture', 'drop setup'])
  const experiments = await get('utilization/summary?by=experiment')
  const named = new Set(experiments.items.map(({ name }: { name: string }) => name))
  expect([...named].sort()).toEqual(['crystal trials', 'enzyme screen', 'growth curve'])
  const errors = Object.values(await get('events?number=0&level=40')) as { event_type: string }[]
  const failures = await get(`events?number=0&q=${encodeURIComponent('type:node_error')}`)
  expect(Object.keys(failures).length).toBeGreaterThan(4)
  expect(errors.map(({ event_type }) => event_type)).toEqual(Object.keys(failures).map(() => 'action_failed'))
  const { items: open } = await get('utilization/summary?by=user')
  expect(open.flatMap(({ runs }: { runs: { open: number } }) => runs.open).filter(Boolean)).toEqual([])
})
