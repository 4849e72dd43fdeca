import { once } from 'node:events'
import { connect } from 'node:http2'
import { logsMethod } from './grpc.ts'

export interface GrpcLoadOptions {
  /** http://HOST:PORT */
  url: string
  /** Messages without frame. */
  messages: readonly Uint8Array[]
  /** Each has one call under way. */
  connections: number
}

/** Makes a call for each message, on node's HTTP/2 alone, as cheaply as a client can. Rejects when one is not OK. */
export async function callAll({
  url,
  messages,
  connections,
}: GrpcLoadOptions): Promise<{ elapsedMs: number }> {
  const frames = messages.map((message) => {
    const frame = Buffer.alloc(5 + message.length)
    frame.writeUInt32BE(message.length, 1)
    frame.set(message, 5)
    return frame
  })
  const headers = {
    ':method': 'POST',
    ':path': logsMethod,
    'content-type': 'application/grpc',
    te: 'trailers',
  }
  let next = 0
  const startedMs = performance.now()
  async function runConnection(): Promise<void> {
    const session = connect(url)
    await once(session, 'connect')
    for (let index = next++; index < frames.length; index = next++) {
      const stream = session.request(headers)
      let status: unknown
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status']
      })
      stream.on('response', (response) => {
        status = response['grpc-status']
      })
      stream.resume()
      stream.end(frames[index])
      await once(stream, 'close')
      if (status !== '0') throw new Error(`a call ended with grpc-status ${status}`)
    }
    session.close()
  }
  await Promise.all(Array.from({ length: Math.min(connections, frames.length) }, runConnection))
  return { elapsedMs: performance.now() - startedMs }
}
