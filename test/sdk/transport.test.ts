import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { readSettings } from '../../sdk/src/setting.ts'
import { createTransport } from '../../sdk/src/transport.ts'

it('a Retry-After counts for an hour at most', async () => {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(503, { 'retry-after': '99999999999999' }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const transport = createTransport(readSettings({ url: `http://127.0.0.1:${port}/` }))
  try {
    expect(await transport.send(Buffer.from('x'))).toMatchObject({ status: 503, retryAfterMs: 3_600_000 })
  } finally {
    transport.close()
    server.close()
  }
})
