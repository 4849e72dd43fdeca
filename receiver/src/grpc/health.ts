import { EventError } from '@madsci-events/sdk/event'
import { createReader, readText, readVarint, skipField } from '../otlp/wire.ts'

/** Source: gRPC Health Checking Protocol, `grpc.health.v1.Health/Check`. */
export const healthPath = '/grpc.health.v1.Health/Check'

const serving = 1
const notServing = 2

/** HealthCheckRequest → HealthCheckResponse. Throws EVT_NOT_FOUND for a service that is not among `services`. */
export async function checkHealth(
  bytes: Uint8Array,
  services: readonly string[],
  isServing: () => Promise<boolean>,
): Promise<Uint8Array> {
  const service = readService(bytes)
  if (service !== '' && !services.includes(service))
    throw new EventError('EVT_NOT_FOUND', `No such service: ${service.slice(0, 200)}`)
  return Uint8Array.of(0x08, (await isServing()) ? serving : notServing)
}

function readService(bytes: Uint8Array): string {
  const r = createReader(bytes, 1)
  const end = bytes.length
  let service = ''
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) service = readText(r, end)
    else skipField(r, tag, end, 0b10)
  }
  return service
}
