import { afterAll, beforeAll, beforeEach } from 'vitest'
import { startTestReceiver } from './receiver.ts'
import { prepareStore, type StoreName } from './store-flag.ts'

export interface UsedReceiver {
  readonly url: string
  readonly otlpUrl: string
}

/**
 * One receiver on this store for all tests of a `describe`, filled before the first. Without the store they are skipped, with the
 * reason.
 */
export function useReceiver(
  store: StoreName,
  fill: () => Promise<void>,
  flags: { [name: string]: string } = {},
): UsedReceiver {
  let receiver: Awaited<ReturnType<typeof startTestReceiver>> | undefined
  let stop = async () => {}
  let skip: string | undefined
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    const prepared = await prepareStore(store)
    if ('skip' in prepared) {
      skip = prepared.skip
      return
    }
    stop = prepared.stop
    receiver = await startTestReceiver({ flags: { ...prepared.flags, ...flags } })
    await fill()
  })
  afterAll(async () => {
    await receiver?.close()
    await stop()
  })
  return {
    get url() {
      return receiver!.url
    },
    get otlpUrl() {
      return receiver!.otlpUrl
    },
  }
}
