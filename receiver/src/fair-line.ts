/** What can stand in a line. */
export interface Waiting {
  readonly client: string
  /** False once nobody wants its turn any more: it is passed over. */
  readonly isWaiting: boolean
}

/**
 * A line with fair turns (start-time fair queuing): next is the client that has had the least, and among its entries the
 * one that came first. What a turn costs is the line's own unit: milliseconds of queries, bytes of bodies.
 *
 *     client a   12   q1 q4 q5        turns of equal cost: q1 q2 q3 q4 q6 q5
 *     client b   12   q2 q6           a turn of b that costs 3000: b waits until the others have had as much
 *     client c   12   q3
 */
export interface FairLine<Entry extends Waiting> {
  add(entry: Entry): void
  /** The next one for which `mayGo` holds, taken out of the line; the others stay where they are. */
  take(mayGo?: (entry: Entry) => boolean): Entry | undefined
  /** What a turn took. */
  charge(client: string, cost: number): void
}

interface Client<Entry> {
  entries: Entry[]
  used: number
}

// So that turns which take nothing rotate, too.
const leastCost = 1
const manyClients = 1000

export function createFairLine<Entry extends Waiting>(): FairLine<Entry> {
  const clients = new Map<string, Client<Entry>>()
  // What the client of the last turn had used: who comes new begins there, and has no claim on the past.
  let now = 0

  function forgetIdle(): void {
    for (const [name, { entries, used }] of clients)
      if (entries.length === 0 && used <= now) clients.delete(name)
  }

  return {
    add(entry) {
      let client = clients.get(entry.client)
      if (!client) {
        if (clients.size >= manyClients) forgetIdle()
        client = { entries: [], used: now }
        clients.set(entry.client, client)
      } else if (client.entries.length === 0) client.used = Math.max(client.used, now)
      client.entries.push(entry)
    },
    take(mayGo = () => true) {
      let next: { client: Client<Entry>; place: number } | undefined
      for (const client of clients.values()) {
        const { entries } = client
        while (entries.length > 0 && !entries[0]!.isWaiting) entries.shift()
        if (entries.length === 0 || (next && client.used >= next.client.used)) continue
        const place = entries.findIndex((entry) => entry.isWaiting && mayGo(entry))
        if (place >= 0) next = { client, place }
      }
      if (!next) return undefined
      const { client, place } = next
      now = Math.max(now, client.used)
      client.used += leastCost
      return client.entries.splice(place, 1)[0]
    },
    charge(name, cost) {
      const client = clients.get(name)
      if (client) client.used += cost
    },
  }
}
