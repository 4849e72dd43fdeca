import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../support/mongod.ts'
import { startTestReceiver } from '../support/receiver.ts'

const mongo = await findMongo()
const backends = [
  { name: 'SQLite', skip: undefined },
  { name: 'MongoDB', skip: 'skip' in mongo ? mongo.skip : undefined },
] as const

for (const backend of backends) {
  describe(`from a node to a query, on ${backend.name}`, () => {
    let receiver: Awaited<ReturnType<typeof startTestReceiver>>
    let mongod: Mongod | undefined
    beforeAll(async () => {
      if (backend.skip) return
      mongod = backend.name === 'MongoDB' ? await startMongod() : undefined
      receiver = await startTestReceiver({
        flags: mongod ? { document_db_url: mongod.url, database_name: freshDatabaseName() } : {},
      })
    })
    afterAll(async () => {
      await receiver?.close()
      await mongod?.stop()
    })

    it('every call of the client arrives with its level, ids and data', async (context) => {
      if (backend.skip) return context.skip(backend.skip)
      const node_id = createEventId()
      const workflow_id = createEventId()
      const events = new EventClient({ url: receiver.url, name: 'liquid-handler', source: { node_id } })
      const ids = {
        debug: events.debug('Priming'),
        info: events.info('Aspirated', { volume_ul: 50, big: 9007199254740993n }),
        warning: events.warning('Low on tips'),
        error: events.error('Clogged'),
        critical: events.critical('Leak'),
        action: events.log({ event_type: 'action_start', event_data: { action: 'transfer' } }),
        raised: events.warning({ event_type: 'node_error', log_level: 10, event_data: { code: 7 } }),
        alert: events.alert('Door opened during run'),
        bound: events.bind({ workflow_id }).info('Step done'),
      }
      await events.flush()

      expect(await events.getEvent(ids.info)).toMatchObject({
        event_id: ids.info,
        event_type: 'log_info',
        log_level: 20,
        source: { node_id },
        event_data: { message: 'Aspirated', volume_ul: 50, big: 9007199254740993n },
      })
      expect(await events.getEvent(ids.action)).toMatchObject({
        event_type: 'action_start',
        event_data: { action: 'transfer' },
      })
      expect(await events.getEvent(ids.raised)).toMatchObject({ event_type: 'node_error', log_level: 30 })
      expect(await events.getEvent(ids.alert)).toMatchObject({
        alert: true,
        event_data: { message: 'Door opened during run' },
      })
      expect(await events.getEvent(ids.bound)).toMatchObject({ source: { node_id, workflow_id } })
      for (const [id, level] of [
        [ids.debug, 10],
        [ids.warning, 30],
        [ids.error, 40],
        [ids.critical, 50],
      ] as const) {
        expect(await events.getEvent(id)).toMatchObject({ log_level: level })
      }
      const severe = await events.getEvents({ number: 50, level: 'error' })
      expect(new Set(severe.map((event) => event.event_id))).toEqual(
        new Set([ids.error, ids.critical, ids.alert]),
      )
      const found = await events.queryEvents({ 'event_data.volume_ul': { $gt: 10 } })
      expect(found.map((event) => event.event_id)).toEqual([ids.info])
      await expect(events.getEvent('nope')).rejects.toMatchObject({ code: 'EVT_NOT_FOUND' })
      await events.close()
      expect(events.stats).toMatchObject({ emitted: 9, exported: 9, waiting: 0, dropped: 0, rejected: 0 })
    })

    it('a thousand events of one tick arrive, each once', async (context) => {
      if (backend.skip) return context.skip(backend.skip)
      const run = createEventId()
      const events = new EventClient({ url: receiver.url, name: 'burst' })
      const ids = Array.from({ length: 1000 }, (_, number) => events.info('tick', { run, number }))
      await events.close()
      const reader = new EventClient({ url: receiver.url, name: 'reader' })
      const found = await reader.queryEvents({ 'event_data.run': run })
      expect(found.map((event) => event.event_id).sort()).toEqual([...ids].sort())
      await reader.close()
    })
  })
}
