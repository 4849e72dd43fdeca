/** What can stand in a line. */
export interface Waiting {
  readonly client: string
  /** False once nobody wants its turn any more: it is passed over. */
  readonly isWaiting: boolean
}

/**
 * A line with fair turns (start-time fair queuing): next is the client that has had the least time, and among its queries the
 * one that came first.
 *
 *     client a   12 ms   q1 q4 q5        turns of equal length: q1 q2 q3 q4 q6 q5
 *     client b   12 ms   q2 q6           a turn of b that takes 3 s: b waits until the others have had as much
 *     client c   12 ms   q3
 */
export interface QueryLine<Query extends Waiting> {
  add(query: Query): void
  /** The next one for which `mayGo` holds, taken out of the line; the others stay where they are. */
  take(mayGo?: (query: Query) => boolean): Query | undefined
  /** What a turn took. */
  charge(client: string, ms: number): void
}

interface Client<Query> {
  queries: Query[]
  usedMs: number
}

// So that turns which take no time rotate, too.
const leastMs = 1
const manyClients = 1000

export function createQueryLine<Query extends Waiting>(): QueryLine<Query> {
  const clients = new Map<string, Client<Query>>()
  // What the client of the last turn had used: who comes new begins there, and has no claim on the past.
  let nowMs = 0

  function forgetIdle(): void {
    for (const [name, { queries, usedMs }] of clients)
      if (queries.length === 0 && usedMs <= nowMs) clients.delete(name)
  }

  return {
    add(query) {
      let client = clients.get(query.client)
      if (!client) {
        if (clients.size >= manyClients) forgetIdle()
        client = { queries: [], usedMs: nowMs }
        clients.set(query.client, client)
      } else if (client.queries.length === 0) client.usedMs = Math.max(client.usedMs, nowMs)
      client.queries.push(query)
    },
    take(mayGo = () => true) {
      let next: { client: Client<Query>; place: number } | undefined
      for (const client of clients.values()) {
        const { queries } = client
        while (queries.length > 0 && !queries[0]!.isWaiting) queries.shift()
        if (queries.length === 0 || (next && client.usedMs >= next.client.usedMs)) continue
        const place = queries.findIndex((query) => query.isWaiting && mayGo(query))
        if (place >= 0) next = { client, place }
      }
      if (!next) return undefined
      const { client, place } = next
      nowMs = Math.max(nowMs, client.usedMs)
      client.usedMs += leastMs
      return client.queries.splice(place, 1)[0]
    },
    charge(name, ms) {
      const client = clients.get(name)
      if (client) client.usedMs += ms
    },
  }
}
