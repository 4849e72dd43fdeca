import { EventError } from '@madsci-events/sdk/event'
import { BSON, type Db, type Document } from 'mongodb'
import { findIds, toKey, toSecond, unusualKey } from '../id-key.ts'
import { postingsName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { createFollower } from './follow.ts'
import { durable } from './insert.ts'
import { createNotes } from './note.ts'
import {
  createBlockId,
  createEpoch,
  type IndexState,
  indexNote,
  ofOtherEpochs,
  type PostingDocument,
  PostingTimes,
  toPostingId,
} from './posting.ts'
import { countBetween, readBehind, toBase } from './posting-reader.ts'

/**
 * Makes the index of ids: of all stored events first, by their ids, then of each block of commits.
 *
 *     none ──▶ reading all ──▶ following ──an event of no commit, or commits that have expired──▶ reading all
 *
 * Several receivers may build: the state is a note, so of those who write its next version one succeeds, and the others stay back
 * while it goes on. Postings of a block are durable before the state that counts it.
 */
export interface IndexBuilder {
  step(): Promise<Step>
}

export interface Step {
  /** There is nothing to do at the moment. */
  isDone: boolean
  /** Events came since the last step. */
  isBusy: boolean
}

export const blockEvents = 1024
/** Another receiver that builds shows it within that time. */
const leaseMs = 60_000
/** A block is not waited for so long that its commits expire. */
const mostBlockMs = 3_600_000
/** Commits under way are in MongoDB's count, and not yet in the order. */
const strangeMs = 30_000
const leastRebuildMs = 3_600_000
const cleanMs = 6 * 3_600_000
/** Another receiver may be at older events just now. */
const marginSeconds = 86_400

type Message = { state: string; events?: number }

export function createIndexBuilder(
  db: Db,
  collectionName: string,
  tell: (message: Message) => void,
): IndexBuilder {
  const events = db.collection<{ _id: string }>(collectionName)
  const postings = db.collection<PostingDocument>(postingsName(collectionName))
  const notes = createNotes(db, collectionName, (call) => call())
  const follower = createFollower({ db, collectionName })
  let version: number | undefined
  let othersUntilMs = 0
  let strangeSinceMs: number | undefined
  let rebuiltMs: number | undefined
  let writtenMs = performance.now()
  let cleanedMs = performance.now()
  let lastCount = -1

  /** False when another receiver was quicker. */
  async function write(state: IndexState, known: number): Promise<boolean> {
    if (await notes.write(indexNote, JSON.stringify(state), known)) {
      version = known + 1
      writtenMs = performance.now()
      return true
    }
    othersUntilMs = performance.now() + leaseMs
    return false
  }

  async function begin(known: number): Promise<Step> {
    const state: IndexState = {
      epoch: createEpoch(),
      after: '',
      cursor: await follower.commitCursor(),
      taken: 0,
    }
    // What another program stores from now on is told by it.
    const behind = await readBehind(db, collectionName, state.cursor)
    if (behind && !behind.isBusy) state.base = toBase(state, behind)
    rebuiltMs = performance.now()
    strangeSinceMs = undefined
    const count = await events.estimatedDocumentCount()
    if ((await write(state, known)) && count > blockEvents) tell({ state: 'is being built', events: count })
    return { isDone: false, isBusy: false }
  }

  async function step(): Promise<Step> {
    const note = await notes.read(indexNote)
    if (!note) return begin(0)
    const nowMs = performance.now()
    if (version !== undefined && note.version !== version) othersUntilMs = nowMs + leaseMs
    version = note.version
    const idle = { isDone: true, isBusy: false }
    if (nowMs < othersUntilMs) return idle
    const state = JSON.parse(note.text) as IndexState
    if (state.isUseless) return idle
    const count = await events.estimatedDocumentCount()
    const isBusy = lastCount !== -1 && count > lastCount
    lastCount = count
    try {
      const isDone =
        state.after === undefined
          ? await follow(state, note.version)
          : await readAll(state, state.after, note.version)
      return { isDone, isBusy }
    } catch (error) {
      if (error instanceof EventError && error.code === 'EVT_INVALID') return begin(note.version)
      if (!(error instanceof Unusable)) throw error
      await write({ ...state, isUseless: true }, note.version)
      tell({ state: `is not used: ${error.message}` })
      return idle
    }
  }

  async function readAll(state: IndexState, after: string, known: number): Promise<boolean> {
    // An older index, or one that a receiver began and did not go on with.
    if (after === '') await postings.deleteMany(ofOtherEpochs(state.epoch))
    const found = events
      .find({ _id: { $gt: after } }, { raw: true, projection })
      .sort({ _id: 1 })
      .limit(blockEvents)
    const block = createBlock()
    for await (const document of found) block.add(document as unknown as Uint8Array)
    await store(block, state.epoch)
    const isOver = block.count < blockEvents
    if (isOver && !(await isAllText())) throw new Unusable('the id of an event is no text')
    const { after: _, ...next } = state
    const isWritten = await write(isOver ? next : { ...state, after: block.lastId }, known)
    if (isOver && isWritten && rebuiltMs !== undefined) tell({ state: 'is complete' })
    return !isWritten
  }

  /** Ids of other types lie before and behind all texts. */
  async function isAllText(): Promise<boolean> {
    for (const sort of [1, -1] as const) {
      const [end] = await events
        .find({}, { projection: { _id: 1 } })
        .sort({ _id: sort })
        .limit(1)
        .toArray()
      if (end && typeof end._id !== 'string') return false
    }
    return true
  }

  async function follow(state: IndexState, known: number): Promise<boolean> {
    const ids: string[] = []
    let { cursor } = state
    for (;;) {
      const page = await follower.commitsSince(cursor, blockEvents - ids.length)
      if (page.expiredCommits > 0) {
        await begin(known)
        return false
      }
      ids.push(...page.ids)
      cursor = page.cursor
      if (!page.hasMore || ids.length >= blockEvents) break
    }
    const isLate = cursor !== state.cursor && performance.now() - writtenMs > mostBlockMs
    if (ids.length < blockEvents && !isLate) return look(state, known)
    const block = createBlock()
    const found = events.find({ _id: { $in: ids } }, { raw: true, projection })
    for await (const document of found) block.add(document as unknown as Uint8Array)
    await store(block, state.epoch)
    const taken = state.taken + (await countBetween(db, collectionName, state.cursor, cursor))
    await write({ ...state, cursor, taken }, known)
    return false
  }

  /** Nothing is to be made: does MongoDB count what came by commits? */
  async function look(state: IndexState, known: number): Promise<boolean> {
    await clean()
    const behind = await readBehind(db, collectionName, state.cursor)
    if (!behind || behind.isBusy) return true
    const base = toBase(state, behind)
    if (state.base === undefined || base < state.base) {
      await write({ ...state, base }, known)
      return true
    }
    if (base === state.base) {
      strangeSinceMs = undefined
      return true
    }
    const nowMs = performance.now()
    strangeSinceMs ??= nowMs
    const isRecent = rebuiltMs !== undefined && nowMs - rebuiltMs < leastRebuildMs
    if (nowMs - strangeSinceMs < strangeMs || isRecent) return true
    await begin(known)
    return false
  }

  /** Postings of times at which nothing is stored any more. */
  async function clean(): Promise<void> {
    if (performance.now() - cleanedMs < cleanMs) return
    cleanedMs = performance.now()
    const [oldest] = await events
      .find({}, { projection: { event_timestamp: 1 }, ...callLimit() })
      .sort({ event_timestamp: 1 })
      .limit(1)
      .toArray()
    const time = (oldest as { event_timestamp?: unknown } | undefined)?.event_timestamp
    const second = typeof time === 'string' ? toSecond(time) : undefined
    if (second !== undefined) await postings.deleteMany({ newest: { $lt: second - marginSeconds } })
  }

  async function store({ times, id }: Block, epoch: string): Promise<void> {
    const documents = [...times].map(([key, one]) => ({
      _id: toPostingId(epoch, key, one.newest, id),
      oldest: one.oldest,
      newest: one.newest,
      times: one.encode(),
    }))
    if (documents.length > 0)
      await postings.insertMany(documents, { ordered: false, writeConcern: durable, ...callLimit() })
  }

  return { step }
}

const projection: Document = { event_timestamp: 1, source: 1, trace_id: 1, event_data: 1, otel: 1 }

class Unusable extends Error {}

interface Block {
  id: string
  times: Map<number, PostingTimes>
  count: number
  lastId: string
  add(document: Uint8Array): void
}

function createBlock(): Block {
  const times = new Map<number, PostingTimes>()
  const addTo = (key: number, time: string) => {
    let one = times.get(key)
    if (!one) {
      one = new PostingTimes()
      times.set(key, one)
    }
    one.add(time)
  }
  const block: Block = {
    id: createBlockId(),
    times,
    count: 0,
    lastId: '',
    add(bytes) {
      const document = BSON.deserialize(bytes) as Document
      const { _id, event_timestamp: time } = document
      block.count++
      block.lastId = String(_id)
      if (typeof time !== 'string') throw new Unusable('an event has no text for its time')
      if (findIds(document as never, (path, id) => addTo(toKey(path, id), time))) addTo(unusualKey, time)
    },
  }
  return block
}
