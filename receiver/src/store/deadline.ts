import { EventError } from '@madsci-events/sdk/event'

/** What `work` settles to, or EVT_STORE_UNAVAILABLE after that long; the work itself goes on. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new EventError('EVT_STORE_UNAVAILABLE', message)), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
