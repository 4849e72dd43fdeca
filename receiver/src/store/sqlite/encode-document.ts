import type { DocumentEncoder } from '../../document/document-encoder.ts'
import { maxDocumentChars, writtenOf } from './row.ts'

export const encodeDocument: DocumentEncoder['encodeDocument'] = (event) => {
  const { json, exact } = writtenOf(event)
  if (json.length > maxDocumentChars)
    return { refused: `the event is larger than ${maxDocumentChars} characters` }
  return { document: Buffer.from(json), exact: exact === undefined ? undefined : Buffer.from(exact) }
}
