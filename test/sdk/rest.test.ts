import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EventClient } from '@madsci-events/sdk'
import { afterEach, describe, expect, it } from 'vitest'

let server: Server
afterEach(() => void server.close())

/** A client of something that answers this to whatever it is asked. */
async function ask(body: string): Promise<EventClient> {
  server = createServer((_, answer) => answer.setHeader('content-type', 'application/json').end(body))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return new EventClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spool: false })
}

describe('an answer of something else than a receiver', () => {
  const calls: [string, (events: EventClient) => Promise<unknown>][] = [
    ['getEvents', (events) => events.getEvents()],
    ['getEvent', (events) => events.getEvent('01')],
    ['queryEvents', (events) => events.queryEvents({})],
    ['getUtilization', (events) => events.getUtilization('sessions')],
  ]
  const bodies = [
    '<html>',
    'null',
    '[1, 2]',
    '"x"',
    '7',
    '{"status": "ok"}',
    '{"a": {"x": 1}}',
    '{"a": {"_id": 5}}',
  ]

  for (const body of bodies)
    it(`${body} is told to be none`, async () => {
      const events = await ask(body)
      for (const [name, call] of calls) {
        // Each report has a form of its own.
        if (name === 'getUtilization' && body.startsWith('{')) continue
        await expect(call(events), name).rejects.toMatchObject({ code: 'EVT_JSON' })
      }
      await events.close()
    })

  it('no events at all are no events', async () => {
    const events = await ask('{}')
    expect(await events.getEvents()).toEqual([])
    expect(await events.queryEvents({})).toEqual([])
    await events.close()
  })

  it('one that switches protocols is told to be none', async () => {
    const events = await ask('')
    server.removeAllListeners('request')
    server.on('connection', (socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    })
    await expect(events.getEvents()).rejects.toMatchObject({ code: 'EVT_UNREACHABLE' })
    await events.close()
  })
})
