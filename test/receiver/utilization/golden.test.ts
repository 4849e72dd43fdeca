import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEvent } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../receiver/src/log.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { openScan } from '../../../receiver/src/store/scan.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { createReportEngine } from '../../../receiver/src/utilization/report-engine.ts'
import { type LabDay, labDays } from '../../support/lab-day.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { toComparable } from '../../support/report-text.ts'

/** What the original answered; test/peer/golden.ts asks it again. */
function goldenOf(day: LabDay): { request: string; answer: unknown }[] {
  const text = readFileSync(join(import.meta.dirname, 'golden', `${day.name}.ndjson`), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function ask(store: EventStore, requests: readonly string[]): Promise<string[]> {
  const scan = openScan(store.scanSource)
  const engine = createReportEngine(scan, { timeoutMs: 0 })
  const answers: string[] = []
  for (const request of requests) {
    const [report, query = ''] = request.split('?')
    const parameters = Object.fromEntries(new URLSearchParams(query))
    const { pieces } = await engine.answer({ report: report!, parameters })
    let text = ''
    for await (const piece of pieces) text += piece
    answers.push(toComparable(request, text))
  }
  await scan.close()
  return answers
}

for (const backend of ['sqlite', 'mongodb'] as const) {
  describe(`reports equal those of the original, on ${backend}`, () => {
    let open: (() => Promise<EventStore>) | undefined
    let skip = ''
    beforeAll(async () => {
      if (backend === 'sqlite') {
        const folder = await mkdtemp(join(tmpdir(), 'madsci-events-'))
        let number = 0
        open = () => openSqliteStore({ path: join(folder, `${number++}.db`), log: silentLog })
        return () => rm(folder, { recursive: true, force: true })
      }
      const source = await findMongo()
      if ('skip' in source) {
        skip = source.skip
        return
      }
      const mongod = await startMongod()
      open = () => openMongoStore({ url: mongod.url, databaseName: freshDatabaseName(), log: silentLog })
      return () => mongod.stop()
    })

    for (const day of labDays) {
      describe(`the day '${day.name}'`, () => {
        let store: EventStore
        let answers: string[] = []
        beforeAll(async () => {
          if (!open) return
          store = await open()
          await store.write(day.events.map((event) => parseEvent(event as never, { managerId: 'none' })))
          const requests = goldenOf(day).map(({ request }) => request)
          answers = await ask(
            store,
            requests.filter((one) => !one.includes('save_to_file')),
          )
        })
        afterAll(() => store?.close())
        goldenOf(day)
          .filter(({ request }) => !request.includes('save_to_file'))
          .forEach(({ request, answer }, index) => {
            it(request, (context) => {
              if (skip) return context.skip(skip)
              expect(answers[index]).toBe(typeof answer === 'string' ? answer : JSON.stringify(answer))
            })
          })
      })
    }
  })
}
