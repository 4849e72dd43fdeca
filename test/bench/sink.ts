import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Event, toEventJson } from '@madsci-events/sdk/event'
import { prepareRequest } from '../support/load.ts'

/** Takes everything and looks at nothing, for it shares two cores with what is measured; counts the requests of each path. */
export async function startSink(contentType: string, body = '') {
  const seen = new Map<string, number>()
  const server = createServer((request, response) => {
    seen.set(request.url!, (seen.get(request.url!) ?? 0) + 1)
    request.resume()
    request.on('end', () => response.writeHead(200, { 'content-type': contentType }).end(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Each event as a POST /event. */
export const toSingles = (events: Event[]) =>
  events.map((event) =>
    prepareRequest(toEventJson(event).replace('"_id"', '"event_id"'), {
      path: '/event',
      contentType: 'application/json',
    }),
  )
