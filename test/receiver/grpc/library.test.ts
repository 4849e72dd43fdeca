import { once } from 'node:events'
import { connect } from 'node:http2'
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  ServerListenerBuilder,
} from '@grpc/grpc-js'
import { expect, it } from 'vitest'
import { logsMethod } from '../../support/grpc.ts'

const messageBytes = 4 * 1024 * 1024
const sentBytes = 3 * 1024 * 1024

// Why grpc/server.ts stands on node:http2: when this fails, it may stand on the library.
it('@grpc/grpc-js keeps megabytes of a message without asking anybody', async () => {
  const seen: string[] = []
  const server = new Server({
    'grpc.max_receive_message_length': messageBytes,
    interceptors: [
      (_method, call) =>
        new ServerInterceptingCall(call, {
          start(next) {
            const listener = new ServerListenerBuilder()
              .withOnReceiveMetadata((metadata, pass) => {
                seen.push('headers')
                pass(metadata)
              })
              .withOnReceiveMessage((message, pass) => {
                seen.push('message')
                pass(message)
              })
            next(listener.build())
          },
        }),
    ],
  })
  const method = {
    path: logsMethod,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  }
  server.addService({ export: method }, { export: (() => {}) as handleUnaryCall<Buffer, Buffer> })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  const session = connect(`http://127.0.0.1:${port}`)
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': logsMethod,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.on('error', () => {})
    const bytes = Buffer.alloc(5 + sentBytes)
    bytes.writeUInt32BE(messageBytes, 1)
    // HTTP/2 has this written when the peer has read all but one window of 64 KiB.
    if (!stream.write(bytes)) await once(stream, 'drain')
    expect(seen).toEqual(['headers'])
  } finally {
    session.destroy()
    server.forceShutdown()
  }
})
