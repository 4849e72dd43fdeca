import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { fromExactJson, parseJson } from '@madsci-events/sdk/event'
import { yieldToOthers } from '../../thread.ts'
import { findIds, firstSecond, lastSecond, toKey, toSecond, unusualKey } from '../id-key.ts'
import { openReadable } from './connection.ts'
import { blockEvents, encodePlaces, partBlocks } from './posting.ts'
import { indexedSeqSql, type Posting, type PostingTask } from './posting-task.ts'
import { lastSeqSql } from './schema.ts'

/** The thread that makes postings, behind the commits: one block each time, which the thread that writes stores. */
export interface PostingWorkerData {
  path: string
}

const pauseMs = 250
const port = parentPort!
yieldToOthers(19)
const { path } = workerData as PostingWorkerData
let database: DatabaseSync | undefined
// Each commit costs a sync of the disk, and intake waits for a long one.
const blocksAtOnce = 4
// A tenth of one core at most while events come, for two cores have no time to spare then; half of one while none do.
const restForWork = { busy: 9, idle: 1 }
// So many that an operator may wonder what is busy.
const manyEvents = 100_000
let isBehind = false
/** As the last step saw it. */
let lastSeq = 0

async function build(): Promise<void> {
  for (;;) {
    try {
      database ??= openReadable(path)
      const startedMs = performance.now()
      const before = lastSeq
      const blocks = await step(database)
      const workMs = performance.now() - startedMs
      const restMs = workMs * (before === lastSeq ? restForWork.idle : restForWork.busy)
      await sleep(blocks < blocksAtOnce ? Math.max(pauseMs, restMs) : restMs)
    } catch {
      // The disk is full or the file is away, which health tells: after trouble nothing is known of a connection.
      close()
      await sleep(pauseMs * 4)
    }
  }
}

function close(): void {
  try {
    database?.close()
  } catch {
    // A broken one cannot be closed; it is let go.
  }
  database = undefined
}

/** Gives the number of blocks that were stored. */
async function step(reading: DatabaseSync): Promise<number> {
  const numberOf = (sql: string) => (reading.prepare(sql).get() as { value: number }).value
  const from = numberOf(indexedSeqSql)
  lastSeq = numberOf(lastSeqSql)
  const events = lastSeq - from
  const isFar = events > manyEvents
  if (isFar && !isBehind) port.postMessage({ state: 'is being built', events })
  if (isBehind && !isFar) port.postMessage({ state: 'is complete', events: from })
  isBehind = isFar
  const count = Math.min(blocksAtOnce, Math.floor(events / blockEvents))
  if (count === 0) return 0
  const blocks: PostingTask['blocks'] = []
  for (let i = 0; i < count; i++) blocks.push(toBlock(reading, from + i * blockEvents))
  await store({
    kind: 'index',
    blocks,
    indexedSeq: from + count * blockEvents,
    firstPart: firstPart(reading),
  })
  return count
}

/** Settles when it is committed. */
async function store(task: PostingTask): Promise<void> {
  const answer = new Promise((resolve) => port.once('message', resolve))
  port.postMessage(task)
  if ((await answer) !== 'stored') throw new Error('not stored')
}

function firstPart(reading: DatabaseSync): number {
  const { first } = reading.prepare('SELECT min(seq) AS first FROM events').get() as { first: number | null }
  return first === null ? 0 : Math.floor((first - 1) / blockEvents / partBlocks)
}

interface Found {
  places: number[]
  oldest: number
  newest: number
}

function toBlock(reading: DatabaseSync, from: number): PostingTask['blocks'][number] {
  const block = from / blockEvents
  const found = new Map<string, Found>()
  const rows = reading.prepare(
    'SELECT seq, event_timestamp AS time, document, exact FROM events WHERE seq > ? AND seq <= ? ORDER BY seq',
  )
  for (const row of rows.iterate(from, from + blockEvents)) {
    const { seq, time, document, exact } = row as {
      seq: number
      time: string
      document: string
      exact: string | null
    }
    const place = seq - from - 1
    const second = toSecond(time)
    const add = (path: string, id: string) => {
      const one = found.get(`${path}:${id}`)
      if (one === undefined) {
        const places = [place]
        found.set(`${path}:${id}`, { places, oldest: second ?? firstSecond, newest: second ?? lastSecond })
        return
      }
      one.places.push(place)
      one.oldest = Math.min(one.oldest, second ?? firstSecond)
      one.newest = Math.max(one.newest, second ?? lastSecond)
    }
    if (findIds(exact === null ? parseJson(document) : fromExactJson(exact), add)) add('', '')
  }
  const postings: Posting[] = []
  const places = new Map<number, Found>()
  for (const [text, one] of found) {
    const colon = text.indexOf(':')
    const key = colon === 0 ? unusualKey : toKey(text.slice(0, colon), text.slice(colon + 1))
    const other = places.get(key)
    places.set(key, other ? unite(one, other) : one)
  }
  for (const [key, { places: list, oldest, newest }] of places)
    postings.push([key, oldest, newest, encodePlaces(list)])
  // The order of the table.
  postings.sort((a, b) => a[0] - b[0])
  return { part: Math.floor(block / partBlocks), block, postings }
}

function unite(one: Found, other: Found): Found {
  return {
    places: [...new Set([...one.places, ...other.places])].sort((a, b) => a - b),
    oldest: Math.min(one.oldest, other.oldest),
    newest: Math.max(one.newest, other.newest),
  }
}

void build()
