/**
 * A node of a laboratory: an HTTP door in front of a device. Each request is an action; its events name the workflow that
 * asked for it.
 *
 *     MADSCI_URL=http://localhost:8001 MADSCI_NODE_ID=01J… node lab-node.ts
 */
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient } from '@madsci-events/sdk'

const events = new EventClient({ name: 'liquid-handler' })

/** The device, if there were one. */
const device = {
  async aspirate(volume_ul: number): Promise<{ volume_ul: number }> {
    if (volume_ul > 1000) throw new RangeError('The tip holds 1000 µl')
    events.info('Aspirating', { volume_ul }) // names the workflow, too: it happens inside of its action
    await sleep(20)
    return { volume_ul }
  },
}

const server = createServer((request, response) => {
  void events.within(request.headers, async () => {
    try {
      const { volume_ul } = JSON.parse(await text(request)) as { volume_ul: number }
      const args = { volume_ul }
      const result = await events.action('aspirate', { args }, () => device.aspirate(volume_ul))
      response.end(JSON.stringify(result))
    } catch (error) {
      response.writeHead(500).end(JSON.stringify({ error: String(error) }))
    }
  })
})

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = ''
  for await (const chunk of stream) all += chunk
  return all
}

server.listen(Number(process.env.PORT ?? 2000), '127.0.0.1', () => {
  events.log({ event_type: 'node_start', event_data: { node_name: 'liquid-handler' } })
  events.nodeStatus('ready')
  console.log(`listening on ${(server.address() as { port: number }).port}`)
})

process.once('SIGTERM', async () => {
  server.close()
  events.log({ event_type: 'node_stop', event_data: { node_name: 'liquid-handler' } })
  await events.close()
})
