import type { DocumentEncoder } from '../../document/document-encoder.ts'
import { maxDocumentChars, toText } from './row.ts'

export const encodeDocument: DocumentEncoder['encodeDocument'] = (event) => {
  const { json, exact } = toText(event)
  if (json.length > maxDocumentChars)
    return { refused: `the event is larger than ${maxDocumentChars} characters` }
  return { document: Buffer.from(json), exact: exact === undefined ? undefined : Buffer.from(exact) }
}
