import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId } from '@madsci-events/sdk/event'
import { describe, expect, it, type TestContext } from 'vitest'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { waitUntil } from '../support/wait.ts'

const lateMs = 3000
/** From the last acknowledgement until a check has judged it. */
const judgedMs = 2 * lateMs + 1500

async function start(context: TestContext, flags: { [name: string]: string }) {
  const errors: string[] = []
  const receiver = await startTestReceiver({
    flags,
    conservation: { intervalMs: 1000, lateMs },
    log: { info: () => {}, warn: () => {}, error: (_fields, message) => void errors.push(message) },
  })
  context.onTestFinished(async () => void (await receiver.close()))
  return { receiver, errors }
}

/** Events by many at once, some of them twice, until the signal comes; what fails is sent again. */
async function load(url: string, signal: AbortSignal): Promise<void> {
  const send = async (body: string) => {
    const headers = { 'content-type': 'application/json' }
    while (!signal.aborted) {
      const answer = await fetch(`${url}event`, { method: 'POST', headers, body }).catch(() => undefined)
      await answer?.arrayBuffer()
      if (answer?.status === 200) return
      await sleep(20)
    }
  }
  const run = async () => {
    for (let i = 0; !signal.aborted; i++) {
      const body = JSON.stringify({ event_id: createEventId(), event_type: 'log_info', event_data: { i } })
      await send(body)
      if (i % 10 === 0) await send(body)
    }
  }
  await Promise.all(Array.from({ length: 16 }, run))
}

describe.concurrent('conservation raises no false alarm', () => {
  it('on SQLite under load', async (context) => {
    const { receiver, errors } = await start(context, {})
    await load(receiver.url, AbortSignal.timeout(2500))
    await waitUntil(async () => receiver.metric.total('commits_checked') > 500, 'checks', 10_000)
    await sleep(judgedMs)
    expect(errors).toEqual([])
    expect(await (await fetch(`${receiver.url}health`)).json()).not.toHaveProperty('conservation')
  })

  it('on MongoDB whose server is killed under load, with two receivers', async (context) => {
    const source = await findMongo()
    if ('skip' in source) return context.skip(source.skip)
    if (source.kind !== 'binary') return context.skip('only a mongod of our own can be killed')
    const mongod = await startMongod()
    context.onTestFinished(() => mongod.stop())
    const flags = { document_db_url: mongod.url, database_name: freshDatabaseName() }
    const both = [await start(context, flags), await start(context, flags)]
    const ending = new AbortController()
    const loads = both.map(({ receiver }) => load(receiver.url, ending.signal))
    await sleep(1200)
    await mongod.kill()
    await sleep(200)
    await mongod.restart()
    await sleep(1500)
    ending.abort()
    await Promise.all(loads)
    for (const { receiver } of both)
      await waitUntil(async () => receiver.metric.total('commits_checked') > 100, 'checks', 10_000)
    await sleep(judgedMs)
    for (const { receiver, errors } of both) {
      expect(errors.filter((line) => /events? (?:was|were|is|are)|outcome/.test(line))).toEqual([])
      expect(await (await fetch(`${receiver.url}health`)).json()).not.toHaveProperty('conservation')
    }
  }, 60_000)
})
