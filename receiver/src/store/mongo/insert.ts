import { createRequire } from 'node:module'
import {
  BSON,
  type Db,
  type Document,
  MongoNetworkError,
  MongoNetworkTimeoutError,
  MongoServerError,
} from 'mongodb'
import type { WriteOutcome } from '../event-store.ts'
import { callLimit } from './connection.ts'
import type { StoreReply } from './protocol.ts'

/** Acknowledged only when a majority has it in its journal: an acknowledged event must not die with mongod. */
export const durable = { w: 'majority', j: true, wtimeout: 8000 } as const

/** Documents of one command: `bytes` holds `count` BSON documents, one after the other. */
export interface DocumentRun {
  bytes: Buffer
  count: number
  /** Bytes before `bytes` in the same memory that may be written. */
  room?: number
}

interface Sequence {
  push(document: object, bytes: Uint8Array): number
  toBin(): Uint8Array
}
type SequenceClass = new (field: string) => Sequence

/**
 * The driver's own class for a document sequence: with it our bytes go to the wire as they are, without a JavaScript
 * object for each document (a third of the CPU of insertMany). It is internal, so its shape is checked, and without it
 * documents go the public way. Undefined when this driver has another shape.
 */
export function loadSequenceClass(): SequenceClass | undefined {
  try {
    const require = createRequire(import.meta.url)
    const { DocumentSequence } = require('mongodb/lib/cmap/commands.js') as {
      DocumentSequence: SequenceClass
    }
    const sequence = new DocumentSequence('documents')
    const document = Buffer.from([5, 0, 0, 0, 0])
    sequence.push({}, document)
    const expected = Buffer.concat([sectionHead, document])
    expected.writeInt32LE(expected.length - 1, 1)
    return expected.equals(sequence.toBin()) ? DocumentSequence : undefined
  } catch {
    return undefined
  }
}

/** A section of OP_MSG of kind 1: kind, length (behind the kind), name; then the documents. */
const sectionHead = Buffer.from('\x01\0\0\0\0documents\0', 'latin1')

export interface Inserter {
  /** True when documents go the short way. */
  readonly isDirect: boolean
  /**
   * Settles when the outcome of every document is durable, duplicates included: a write that inserts nothing also waits
   * for the write concern, at the newest operation of the primary, which is later than the first event of that id.
   * Throws the driver's error when nothing can be told.
   */
  insert(db: Db, run: DocumentRun): Promise<StoreReply>
}

export function createInserter(
  collectionName: string,
  sequenceClass = loadSequenceClass() ?? null,
): Inserter {
  const toDocuments = (run: DocumentRun): unknown => {
    if (!sequenceClass)
      return splitDocuments(run.bytes).map((bytes) => BSON.deserialize(bytes, { promoteValues: false }))
    const sequence = new sequenceClass('documents')
    sequence.push({}, run.bytes)
    const { bytes, room = 0 } = run
    if (room >= sectionHead.length) {
      const section = Buffer.from(
        bytes.buffer,
        bytes.byteOffset - sectionHead.length,
        sectionHead.length + bytes.length,
      )
      section.set(sectionHead)
      section.writeInt32LE(section.length - 1, 1)
      // The driver's own copies all documents once more.
      sequence.toBin = () => section
    }
    return sequence
  }

  async function send(db: Db, run: DocumentRun): Promise<Document> {
    const command = {
      insert: collectionName,
      ordered: false,
      writeConcern: durable,
      documents: toDocuments(run),
    }
    return db.command(command, callLimit())
  }

  async function insert(db: Db, run: DocumentRun): Promise<StoreReply> {
    let isRetried = false
    let reply: Document
    try {
      reply = await send(db, run)
    } catch (error) {
      if (isPoison(error)) return isolate(db, run, error as MongoServerError)
      if (!mayRetry(error)) throw error
      // Ids make it harmless: what the first attempt stored is a duplicate of the second.
      isRetried = true
      reply = await send(db, run)
    }
    return { outcomes: toOutcomes(reply, run.count), isRetried }
  }

  /** One document that the server takes for malformed fails the whole command: halves are tried until it is alone. */
  async function isolate(db: Db, run: DocumentRun, error: MongoServerError): Promise<StoreReply> {
    if (run.count === 1) return { outcomes: [{ refused: error.message }], isRetried: false }
    const documents = splitDocuments(run.bytes)
    const half = documents.length >> 1
    const left = await insert(db, { bytes: Buffer.concat(documents.slice(0, half)), count: half })
    const right = await insert(db, { bytes: Buffer.concat(documents.slice(half)), count: run.count - half })
    return {
      outcomes: [...left.outcomes, ...right.outcomes],
      isRetried: left.isRetried || right.isRetried,
    }
  }

  return { isDirect: sequenceClass !== null, insert }
}

function splitDocuments(bytes: Buffer): Buffer[] {
  const documents: Buffer[] = []
  for (let start = 0; start < bytes.length; ) {
    const end = start + bytes.readInt32LE(start)
    documents.push(bytes.subarray(start, end))
    start = end
  }
  return documents
}

// Faults of a document, for good: BadValue FailedToParse TypeMismatch Overflow InvalidBSON EmptyFieldName
// DollarPrefixedFieldName DottedFieldName DocumentValidationFailure BSONObjectTooLarge KeyTooLong.
const documentFaults = new Set([2, 9, 14, 15, 22, 52, 56, 57, 121, 10334, 17280])
export const duplicateKey = 11000

const isPoison = (error: unknown) =>
  error instanceof MongoServerError && documentFaults.has(Number(error.code))

/** A lost connection or an old primary; not a timeout, which has taken long enough. */
export function mayRetry(error: unknown): boolean {
  if (error instanceof MongoNetworkTimeoutError) return false
  return (
    error instanceof MongoNetworkError ||
    (error instanceof MongoServerError && error.hasErrorLabel('RetryableWriteError'))
  )
}

function toOutcomes(reply: Document, count: number): WriteOutcome[] {
  const { writeErrors = [], writeConcernError } = reply as {
    writeErrors?: { index: number; code: number; errmsg: string }[]
    writeConcernError?: Document
  }
  // Not durable, whatever else the reply says.
  if (writeConcernError) throw new MongoServerError(writeConcernError)
  const outcomes: WriteOutcome[] = new Array(count).fill('stored')
  for (const { index, code, errmsg } of writeErrors) {
    if (code === duplicateKey) outcomes[index] = isIdClash(errmsg) ? 'duplicate' : { refused: errmsg }
    else if (documentFaults.has(code)) outcomes[index] = { refused: errmsg }
    else throw new MongoServerError({ errmsg, message: errmsg, code })
  }
  // Where the numbers do not add up, some document has no outcome.
  if (reply.n + writeErrors.length !== count)
    throw new MongoServerError({
      message: `${reply.n} of ${count} documents inserted, ${writeErrors.length} errors`,
    })
  return outcomes
}

/** After a megabyte of errors mongod leaves their texts empty: then it is `_id`, unless someone adds unique indexes. */
function isIdClash(errmsg: string): boolean {
  return errmsg === '' || errmsg.includes('index: _id_') || errmsg.includes('_id_ dup key')
}
