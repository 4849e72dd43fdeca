import { type Db, MongoServerError } from 'mongodb'
import type { NoteStore } from '../event-store.ts'
import { metaName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { duplicateKey, durable } from './insert.ts'

interface NoteDocument {
  _id: string
  version: number
  text: string
}

export const noteId = (name: string) => `note:${name}`

/** Notes lie in `<collection>_meta`, as {_id: 'note:NAME', version, text}. */
export function createNotes(
  db: Db,
  collectionName: string,
  guarded: <T>(call: () => Promise<T>) => Promise<T>,
): NoteStore {
  const notes = db.collection<NoteDocument>(metaName(collectionName))

  async function write(name: string, text: string, version: number): Promise<boolean> {
    const _id = noteId(name)
    const options = { writeConcern: durable, ...callLimit() }
    if (version > 0) {
      const change = { $set: { text }, $inc: { version: 1 } }
      return (await notes.updateOne({ _id, version }, change, options)).matchedCount === 1
    }
    try {
      await notes.insertOne({ _id, version: 1, text }, options)
      return true
    } catch (error) {
      if (error instanceof MongoServerError && error.code === duplicateKey) return false
      throw error
    }
  }

  return {
    read: (name) =>
      guarded(async () => {
        const found = await notes.findOne({ _id: noteId(name) }, callLimit())
        return found ? { text: found.text, version: found.version } : undefined
      }),
    write: (name, text, version) => guarded(() => write(name, text, version)),
  }
}
