import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { createClients, toClient } from '../../receiver/src/client.ts'
import { readConfig } from '../../receiver/src/config/config.ts'
import { startTestReceiver } from '../support/receiver.ts'

it('an address of one machine is one client, however it is written', () => {
  for (const [address, client] of [
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['::FFFF:a00:7', '10.0.0.7'],
    ['0:0:0:0:0:ffff:10.0.0.7', '10.0.0.7'],
    ['::1', '::1'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
  ] as const)
    expect([address, toClient(address)]).toEqual([address, client])
})

it('behind a proxy, a client is the nearest address that is no proxy', () => {
  const from = (clients: ReturnType<typeof createClients>, remoteAddress: string, forwarded?: string) =>
    clients.clientOf({
      headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
      socket: { remoteAddress },
    })
  const none = createClients([])
  expect(from(none, '::ffff:10.0.0.1', '1.2.3.4')).toBe('10.0.0.1')
  expect(none.isProxy('10.0.0.1')).toBe(false)
  const clients = createClients(['10.0.0.0/8', 'fd00::/8'])
  for (const [address, forwarded, client] of [
    ['10.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['::ffff:10.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['fd00::1', '2001:db8:1:2::9', '2001:db8:1:2::/64'],
    // What a client says of itself is not believed.
    ['10.0.0.1', '9.9.9.9, 1.2.3.4, 10.0.0.2', '1.2.3.4'],
    ['192.168.0.1', '1.2.3.4', '192.168.0.1'],
    ['10.0.0.1', undefined, '10.0.0.1'],
  ] as const)
    expect([address, forwarded, from(clients, address, forwarded)]).toEqual([address, forwarded, client])
  expect(clients.isProxy('::ffff:10.9.9.9')).toBe(true)
  expect(() => createClients(['lab.example'])).toThrow()
})

it('limits and shares are by client behind the proxies that trusted_proxies names, and by address else', async () => {
  const flags = { rate_limit_exempt_ips: '[]', rate_limit_requests: '2', rate_limit_short_requests: 'none' }
  for (const trusted of [true, false]) {
    const receiver = await startTestReceiver({
      flags: { ...flags, ...(trusted && { trusted_proxies: '["127.0.0.0/8"]' }) },
    })
    try {
      const statusOf = async (client: string) =>
        (await fetch(`${receiver.url}events?number=1`, { headers: { 'x-forwarded-for': client } })).status
      const statuses: number[] = []
      for (const client of ['1.1.1.1', '1.1.1.1', '1.1.1.1', '2.2.2.2']) statuses.push(await statusOf(client))
      expect(statuses).toEqual(trusted ? [200, 200, 429, 200] : [200, 200, 429, 429])
      const posted = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': '3.3.3.3' },
        body: '{"message":"through a proxy"}',
      })
      expect(posted.status).toBe(200)
    } finally {
      await receiver.close()
    }
  }
})

it('a proxy may hold all connections', async () => {
  const receiver = await startTestReceiver({
    flags: { max_connections: '8', trusted_proxies: '["127.0.0.1"]' },
  })
  const sockets = Array.from({ length: 7 }, () =>
    connect(Number(new URL(receiver.otlpUrl).port), '127.0.0.1'),
  )
  try {
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    await expect
      .poll(
        () =>
          receiver.metric
            .readGauges()
            .find(({ name, label }) => name === 'connections_open' && label === 'otlp')?.value,
      )
      .toBe(7)
  } finally {
    for (const socket of sockets) socket.destroy()
    await receiver.close()
  }
})

it('a setting that names no address is told', () => {
  expect(() => readConfig({ environment: {}, flags: { trusted_proxies: '["lab.example"]' } })).toThrow(
    /trusted_proxies.*lab\.example/,
  )
})
