import { randomBytes } from 'node:crypto'
import { EventError } from '@madsci-events/sdk/event'
import type { NoteStore } from '../store/event-store.ts'

const noteName = 'page_token'

/**
 * What our own pages say with a change. Receivers of one database share it, since a page may ask one and act at the other;
 * it is kept there, and made by whoever needs it first. Throws EVT_STORE_UNAVAILABLE while the database does not tell.
 */
export function createPageToken(notes: NoteStore): () => Promise<string> {
  let known: Promise<string> | undefined
  async function read(): Promise<string> {
    const note = await notes.read(noteName)
    if (note) return note.text
    const text = randomBytes(24).toString('base64url')
    if (await notes.write(noteName, text, 0)) return text
    const other = await notes.read(noteName)
    if (other) return other.text
    throw new EventError('EVT_STORE_UNAVAILABLE', 'The token of the pages cannot be read')
  }
  return () => {
    if (known) return known
    const own = read()
    known = own
    // A failure is for those who wait for it, and for nobody later.
    own.catch(() => {
      known = undefined
    })
    return own
  }
}
