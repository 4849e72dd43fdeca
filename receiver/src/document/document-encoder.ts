import type { Event } from '@madsci-events/sdk/event'

/** A document in the form of a store. */
export interface EncodedDocument {
  document: Uint8Array
  /** Exact JSON, where the document's JSON alone does not give the event back. */
  exact?: Uint8Array | undefined
}

/** What a store's module for other threads exports. */
export interface DocumentEncoder {
  /** The document, or why the store cannot keep it. */
  encodeDocument(event: Event): EncodedDocument | { refused: string }
}
