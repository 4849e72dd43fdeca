import { randomBytes } from 'node:crypto'
import { firstSecond, indexVersion, lastSecond, toSecond } from '../id-key.ts'

/**
 * The index of ids. A posting says at which times the events of a block of commits hold an id:
 *
 *     _id: epoch, key (hash of path and id), newest second, block ── times, as text, each of which the index of times finds
 *
 * An index of MongoDB for each path, or one over a list of ids in each event, costs as much as storing the event; postings are written
 * behind the commits. They only grow stale: a posting of a deleted event leads to nothing, and what a posting leads to is matched again.
 */
export interface PostingDocument {
  _id: string
  /** Seconds, as numbers whose order is that of the text. */
  oldest: number
  newest: number
  times: Uint8Array
}

/** Where the index stands: a note, of which one receiver at a time writes the next version. */
export interface IndexState {
  /** The postings that count begin with it. */
  epoch: string
  /** While all stored events are read, by their ids: the last one. */
  after?: string | undefined
  /** Of commits: what is behind it is not in the index yet. */
  cursor: string
  /** Events that came by commits. */
  taken: number
  /** MongoDB's count of events without those. It grows when another program stores some. */
  base?: number
  /** Some event has no text for its time: no posting can lead to it. */
  isUseless?: boolean
}

/** Other paths make another index. */
export const indexNote = `ids_${indexVersion}`

const epochBytes = 3
const keyCharacters = 10
const secondCharacters = 14

export const createEpoch = (): string => randomBytes(epochBytes).toString('hex')
export const createBlockId = (): string => randomBytes(6).toString('hex')

const toStart = (epoch: string, key: number) => `${epoch}${key.toString(36).padStart(keyCharacters, '0')}`

export const toPostingId = (epoch: string, key: number, newest: number, block: string): string =>
  `${toStart(epoch, key)}${String(newest).padStart(secondCharacters, '0')}${block}`

/** Digits and letters of an id lie before it. */
const beyond = '~'

/** All postings of a key. */
export function toPostingRange(epoch: string, key: number): { $gte: string; $lt: string } {
  const start = toStart(epoch, key)
  return { $gte: start, $lt: `${start}${beyond}` }
}

/** All postings of another epoch. */
export const ofOtherEpochs = (epoch: string) => ({
  $or: [{ _id: { $lt: epoch } }, { _id: { $gt: `${epoch}${beyond}` } }],
})

/** The times of one key in one block. */
export class PostingTimes {
  readonly #texts = new Set<string>()
  oldest = lastSecond
  newest = firstSecond

  add(time: string): void {
    if (this.#texts.has(time)) return
    this.#texts.add(time)
    const second = toSecond(time)
    this.oldest = Math.min(this.oldest, second ?? firstSecond)
    this.newest = Math.max(this.newest, second ?? lastSecond)
  }

  encode(): Buffer {
    return encodeTimes([...this.#texts].sort())
  }
}

const maxShared = 255
const headBytes = 5

/** Each time as the number of bytes that it shares with the one before, the number of the others, and those. */
export function encodeTimes(times: readonly string[]): Buffer {
  const parts: Buffer[] = []
  let before = Buffer.alloc(0)
  for (const time of times) {
    const bytes = Buffer.from(time)
    let shared = 0
    const most = Math.min(maxShared, before.length, bytes.length)
    while (shared < most && before[shared] === bytes[shared]) shared++
    const head = Buffer.alloc(headBytes)
    head.writeUInt8(shared)
    head.writeUInt32LE(bytes.length - shared, 1)
    parts.push(head, bytes.subarray(shared))
    before = bytes
  }
  return Buffer.concat(parts)
}

export function decodeTimes(bytes: Buffer): string[] {
  const times: string[] = []
  let before = Buffer.alloc(0)
  for (let at = 0; at < bytes.length; ) {
    const shared = bytes.readUInt8(at)
    const length = bytes.readUInt32LE(at + 1)
    before = Buffer.concat([
      before.subarray(0, shared),
      bytes.subarray(at + headBytes, at + headBytes + length),
    ])
    times.push(before.toString())
    at += headBytes + length
  }
  return times
}
