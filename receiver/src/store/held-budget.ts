/** Whoever holds characters. */
export interface Holder {
  readonly client: string
  held: number
}

export interface HeldLimits {
  /** Of all clients, and of one. */
  all: number
  client: number
}

/** A query that has sent nothing yet may go up to here: unread answers of one client leave room for its next question. */
const mostHeld: HeldLimits = { all: 48 * 1024 * 1024, client: 32 * 1024 * 1024 }
/** And one whose reader has something to read, up to here. */
const aheadHeld: HeldLimits = { all: 16 * 1024 * 1024, client: 8 * 1024 * 1024 }

/** Counts the characters of answers that wait for their readers: a client that reads nothing holds up itself, and not the others. */
export function createHeldBudget() {
  const heldOf = new Map<string, number>()
  let all = 0

  function add(holder: Holder, characters: number): void {
    if (characters === 0) return
    holder.held += characters
    all += characters
    const own = (heldOf.get(holder.client) ?? 0) + characters
    if (own > 0) heldOf.set(holder.client, own)
    else heldOf.delete(holder.client)
  }

  return {
    hold: add,
    release: (holder: Holder, characters: number) => add(holder, -Math.min(characters, holder.held)),
    releaseAll: (holder: Holder) => add(holder, -holder.held),
    hasRoom({ client, held }: Holder): boolean {
      const limits = held === 0 ? mostHeld : aheadHeld
      return all < limits.all && (heldOf.get(client) ?? 0) < limits.client
    },
  }
}
