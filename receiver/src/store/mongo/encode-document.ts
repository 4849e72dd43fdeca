import type { DocumentEncoder } from '../../document/document-encoder.ts'
import { createEventEncoder } from './encode.ts'

// What every server takes; the write asks again with the server's own limit.
const maxDocumentBytes = 16 * 1024 * 1024
const encoder = createEventEncoder()

export const encodeDocument: DocumentEncoder['encodeDocument'] = (event) => {
  encoder.reset()
  const refused = encoder.add(event, maxDocumentBytes)
  return refused === undefined ? { document: Uint8Array.from(encoder.bytes()) } : { refused }
}
