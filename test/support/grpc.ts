import { Client, credentials, type Metadata, type ServiceError } from '@grpc/grpc-js'

export const logsMethod = '/opentelemetry.proto.collector.logs.v1.LogsService/Export'

export interface GrpcAnswer {
  /** The reply's message; undefined when the call failed. */
  message: Buffer | undefined
  code: number
  text: string
  /** `grpc-status-details-bin`. */
  details: Buffer | undefined
}

/** A client of the gRPC library, which knows nothing of our server; messages are bytes. */
export function createGrpcClient(url: string, options: { compression?: 'gzip'; maxSendBytes?: number } = {}) {
  const client = new Client(new URL(url).host, credentials.createInsecure(), {
    'grpc.default_compression_algorithm': options.compression === 'gzip' ? 2 : 0,
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
  })
  const same = (bytes: Buffer) => bytes
  return {
    export(message: Uint8Array, method = logsMethod): Promise<GrpcAnswer> {
      return new Promise((resolve) => {
        client.makeUnaryRequest(
          method,
          same,
          same,
          Buffer.from(message),
          (error: ServiceError | null, reply?: Buffer) => {
            const metadata: Metadata | undefined = error?.metadata
            const details = metadata?.get('grpc-status-details-bin')[0]
            resolve({
              message: error ? undefined : reply,
              code: error?.code ?? 0,
              text: error?.details ?? '',
              details: details as Buffer | undefined,
            })
          },
        )
      })
    },
    close: () => client.close(),
  }
}
