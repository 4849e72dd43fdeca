import type { Notification } from './group.ts'

/** What became of one attempt. */
export type SendOutcome = { kind: 'delivered' } | { kind: 'retry' | 'refused'; reason: string }

/** An event as a message shows it. */
export interface ToldEvent {
  id: string
  /** As REST shows it, but `event_id` for `_id`. */
  document: { [key: string]: unknown }
  /** Of GET /event/{id}. */
  link: string
}

export interface Message {
  /** The same for every attempt of one delivery. */
  id: string
  notice: Notification
  subject: string
  text: string
  html: string
  /** The events that it is about, oldest first; some when there are many. */
  events: ToldEvent[]
}

/** A way to tell somebody. */
export interface Channel {
  readonly name: string
  readonly kind: string
  /** One delivery each. */
  readonly targets: readonly string[]
  send(message: Message, target: string): Promise<SendOutcome>
  close(): void
}
