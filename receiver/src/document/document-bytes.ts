import { ByteWriter } from './byte-writer.ts'

/** What writers of every form do alike: the documents of a request lie one behind the other, and may be taken back. */
export abstract class DocumentBytes {
  protected readonly to: ByteWriter
  protected startOfDocument: number

  /** So many bytes stay free before the first document. */
  constructor(room: number) {
    this.to = new ByteWriter(room)
    this.startOfDocument = room
  }

  start(): number {
    return this.to.reset()
  }

  drop(): void {
    this.to.position = this.startOfDocument
  }

  take(): Buffer {
    return this.to.take()
  }

  giveBack(bytes: Uint8Array): void {
    this.to.giveBack(bytes)
  }
}
