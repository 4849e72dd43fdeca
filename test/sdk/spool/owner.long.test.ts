import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { isAlive, parseOwner, thisOwner, toOwnerText } from '../../../sdk/src/spool/owner.ts'
import { startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { runScript } from '../../support/script.ts'

const folder = mkdtempSync(join(tmpdir(), 'madsci-owner-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('what a worker had spooled when it was terminated is sent by its process, which lives', async () => {
  const endpoint = await startOtlpEndpoint()
  const options = JSON.stringify({
    url: endpoint.url,
    name: 'arm',
    spoolDir: folder,
    scheduleDelayMs: 60_000,
    maxBatchEvents: 1000,
  })
  const worker = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient(${options})
    for (let i = 0; i < 600; i++) events.info('x', workerData ? { i } : {})
    parentPort.postMessage('there')
    setInterval(() => events.info('alive'), 500)`
  const result = await runScript(`
    import { once } from 'node:events'
    import { Worker } from 'node:worker_threads'
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient({ ...${options}, scheduleDelayMs: 0 })
    const [dies, lives] = [true, false].map((workerData) => new Worker(${JSON.stringify(worker)}, { eval: true, workerData }))
    await Promise.all([dies, lives].map((one) => once(one, 'message')))
    await dies.terminate()
    for (let i = 0; i < 200 && events.stats.exported < 600; i++) await new Promise((resolve) => setTimeout(resolve, 100))
    console.log(JSON.stringify(events.stats))
    await events.close()
    process.exit()`)
  expect(result.stderr).toBe('')
  const { recovered, exported } = JSON.parse(result.stdout)
  // The other's are its own.
  expect(recovered).toBeGreaterThanOrEqual(600)
  expect(recovered).toBeLessThan(620)
  expect(exported).toBe(recovered)
  const numbers = endpoint.events.flatMap(({ event_data }) => (event_data as { i?: number }).i ?? [])
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 600 }, (_, i) => i))
  // It is there for the next program.
  expect(readdirSync(folder)).toHaveLength(1)
  await endpoint.close()
})

it('an owner is read as it was written, with and without a thread; one that lives is never taken for dead', () => {
  const owner = thisOwner()
  expect(parseOwner(toOwnerText(owner))).toEqual(owner)
  expect(isAlive(owner, Date.now())).toBe(true)
  const thread = { id: 7, started: '12' }
  expect(parseOwner(toOwnerText({ ...owner, thread }))).toEqual({ ...owner, thread })
  expect(isAlive({ ...owner, thread }, Date.now())).toBe(false)
  const untold = { id: 7, started: '0' }
  expect(isAlive({ ...owner, thread: untold }, Date.now())).toBe(true)
  expect(isAlive({ ...owner, thread: untold }, Date.now() - 60_000)).toBe(false)
})
