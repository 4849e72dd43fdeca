import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { afterEach, describe, expect, it } from 'vitest'
import type { LabDay, PostedEvent } from '../support/lab-day.ts'
import { type Madsci, startMadsci } from '../support/madsci.ts'
import { freshDatabaseName, startMongod } from '../support/mongod.ts'
import { findPeer } from '../support/peer.ts'
import { randomDay } from '../support/random-day.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { toComparable } from '../support/report-text.ts'
import { prepareStore } from '../support/store-flag.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Ours {
  name: string
  url: string
}

async function startOurs(name: 'sqlite' | 'mongodb', flags: { [name: string]: string }): Promise<Ours> {
  const receiver = await startTestReceiver({ flags })
  cleanups.push(() => receiver.close())
  return { name, url: receiver.url }
}

async function call(url: string, method: string, body?: object): Promise<string> {
  const response = await fetch(url, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${method} ${url}: ${response.status} ${text}`)
  return text
}

async function post({ url }: Ours, events: readonly PostedEvent[]): Promise<void> {
  for (const event of events) await call(`${url}event`, 'POST', event)
}

async function forget({ url }: Ours, { events }: LabDay): Promise<void> {
  const event_ids = events.map(({ event_id }) => event_id)
  await call(`${url}events/archive`, 'POST', { event_ids, batch_size: 1000 })
  const { deleted_count } = JSON.parse(await call(`${url}events/archived?older_than_days=0`, 'DELETE'))
  expect(deleted_count).toBe(events.length)
}

/** Has a report saved, and gives the answer with the text of the file in it. */
async function save(report: (path: string) => Promise<string>, request: string, folder: string) {
  const [name, query = ''] = request.split('?')
  const parameters = new URLSearchParams(query)
  for (const key of ['csv_format', 'save_to_file']) parameters.set(key, 'true')
  parameters.set('output_path', folder)
  const answer = JSON.parse(await report(`${name}?${parameters}`))
  const path: string | undefined = answer.file_path
  // A report that fails is not saved: its error is the answer.
  if (path === undefined) return answer
  return {
    ...answer,
    file_path: path.replace(folder, ''),
    text: toComparable(request, await readFile(path, 'utf8')),
  }
}

function firstDifference(ours: string, theirs: string): string {
  if (ours === theirs) return ''
  let at = 0
  while (ours[at] === theirs[at]) at++
  const around = (text: string) => text.slice(Math.max(0, at - 150), at + 100)
  return `  ours:   …${around(ours)}…\n  theirs: …${around(theirs)}…`
}

/** The users in a periods report, which the original computes and drops, beside the report on users of the same window. */
function expectUsers(periods: string, user: string, what: string): void {
  const { error, user_utilization: ours } = JSON.parse(periods)
  if (error) return
  const theirs = JSON.parse(user)
  expect(ours.total_users, what).toBe(Object.keys(theirs.user_utilization).length)
  expect(ours.system_totals, what).toEqual({
    total_workflows: theirs.system_summary.total_workflows,
    total_runtime_hours: theirs.system_summary.total_runtime_hours,
    completion_rate_percent: theirs.system_summary.completion_rate_percent,
  })
  for (const { author, ...figures } of ours.top_users)
    expect(theirs.user_utilization[author], what).toMatchObject(figures)
}

describe('the reports beside the original itself', () => {
  it('are equal on generated days, on both stores, also when they were asked for before all was told', async (context) => {
    const peer = findPeer('MADSCI_PEER')
    if ('skip' in peer) return context.skip(peer.skip)
    const [sqlite, mongodb] = [await prepareStore('sqlite'), await prepareStore('mongodb')]
    if ('skip' in mongodb) return context.skip(mongodb.skip)
    if ('skip' in sqlite) return context.skip(sqlite.skip)
    cleanups.push(mongodb.stop)
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const client = new MongoClient(mongod.url)
    cleanups.push(() => client.close())
    const databaseName = freshDatabaseName()
    const madsci: Madsci = await startMadsci(peer.path, mongod.url, databaseName)
    cleanups.push(() => madsci.stop())
    const events = client.db(databaseName).collection('events')
    const report_dir = await mkdtemp(join(tmpdir(), 'madsci-report-'))
    cleanups.push(() => rm(report_dir, { recursive: true, force: true }))
    const ours = [
      await startOurs('sqlite', { ...sqlite.flags, report_dir }),
      await startOurs('mongodb', { ...mongodb.flags, report_dir }),
    ]

    const firstSeed = Number(process.env.MADSCI_SEED ?? Date.now() % 1_000_000)
    const untilMs = performance.now() + Number(process.env.MADSCI_SECONDS ?? 60) * 1000
    let seed = firstSeed
    let reportCount = 0
    let errorCount = 0
    const differences: string[] = []
    for (; performance.now() < untilMs && differences.length < 20; seed++) {
      const day = randomDay(seed)
      // It stores what it logs about its reports, a little later: without a window, it would report on that too.
      const foreign = { _id: { $nin: day.events.map(({ event_id }) => event_id as never) } }
      const askOriginal = async (path: string) => {
        let quiet = path.includes('_time=') ? 2 : 0
        for (; quiet < 2; quiet++) {
          await sleep(40)
          if ((await events.deleteMany(foreign)).deletedCount > 0) quiet = -1
        }
        return madsci.report(path)
      }
      await events.deleteMany({})
      await madsci.post(day.events)
      for (const one of ours) {
        const half = day.events.length >> 1
        await post(one, day.events.slice(0, half))
        for (const request of day.requests) await call(`${one.url}utilization/${request}`, 'GET')
        await post(one, day.events.slice(half))
      }
      for (const request of day.requests) {
        const theirs = await askOriginal(request)
        reportCount++
        if (theirs.startsWith('{"error"')) errorCount++
        for (const { name, url } of ours) {
          const answer = toComparable(request, await call(`${url}utilization/${request}`, 'GET'))
          const difference = firstDifference(answer, toComparable(request, theirs))
          if (difference) differences.push(`seed ${seed}, ${name}: ${request}\n${difference}`)
        }
      }
      for (const request of day.requests.filter((text) => /^(sessions|user|periods.*daily.*)$/.test(text))) {
        const theirs = await save(askOriginal, request, join(report_dir, 'theirs'))
        for (const { name, url } of ours) {
          const answer = await save(
            (path) => call(`${url}utilization/${path}`, 'GET'),
            request,
            join(report_dir, name),
          )
          expect(answer, `seed ${seed}, ${name}: saved ${request}`).toEqual(theirs)
        }
      }
      for (const one of ours) {
        for (const request of day.requests.filter((text) => !text.includes('csv'))) {
          const [report, query = ''] = request.split('?')
          const times = new URLSearchParams(query)
          const window = `start_time=${times.get('start_time')}&end_time=${times.get('end_time')}`
          if (report === 'periods' && query !== '')
            expectUsers(
              await call(`${one.url}utilization/${request}`, 'GET'),
              await call(`${one.url}utilization/users?${window}`, 'GET'),
              `seed ${seed}: ${request}`,
            )
        }
        await forget(one, day)
      }
    }
    expect(differences.join('\n\n')).toBe('')
    expect(errorCount).toBeLessThan(reportCount / 10)
    console.log(
      `${reportCount} reports, ${errorCount} of them errors, of the seeds ${firstSeed} to ${seed - 1} (MADSCI_SEED repeats)`,
    )
  }, 400_000)
})
