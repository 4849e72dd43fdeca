import { createNames } from './name.ts'
import type { Signal } from './signal.ts'

/** What is known of who speaks and who is spoken of, whatever the order in which it was learned. */
export interface Identity {
  /** Gives from when on signals that were resolved before mean something else now; undefined when none does. */
  learn(signal: Signal): number | undefined
  /** Ids in place of names, as far as they are known. */
  resolve(signal: Signal): Signal
}

/** A node answers a request within a moment: one that was not heard until a minute later did not speak at the time. */
const answerMicros = 60_000_000

export function createIdentity(): Identity {
  const names = createNames()
  // By name: when the first resolved signal used it.
  const uses = new Map<string, number>()
  const spokenSince = new Map<string, number>()
  let firstRequestAt = Number.POSITIVE_INFINITY

  return {
    learn({ announced, isOwn, links: { node_id }, at }) {
      let from: number | undefined
      const since = (micros: number) => {
        from = Math.min(from ?? micros, micros)
      }
      for (const { kind, name, id } of announced ?? []) {
        const changed = names.learn(kind, name, id, at)
        const used = changed === undefined ? undefined : uses.get(`${kind}:${name}`)
        if (used !== undefined) since(Math.max(used, changed!))
      }
      if (isOwn && node_id !== undefined) {
        const known = spokenSince.get(node_id)
        if (known === undefined || at < known) {
          spokenSince.set(node_id, at)
          if (firstRequestAt < (known ?? Number.POSITIVE_INFINITY))
            since(Math.max(firstRequestAt, at - answerMicros))
        }
      }
      return from
    },
    resolve(signal) {
      const { named, at, saying } = signal
      let { links, subject } = signal
      for (const kind of ['node', 'workcell', 'workflow'] as const) {
        const name = named?.[kind]
        if (name === undefined) continue
        const key = `${kind}:${name}`
        uses.set(key, Math.min(uses.get(key) ?? at, at))
        const id = names.resolve(kind, name, at)
        if (id === undefined) continue
        links = { ...links, [`${kind}_id`]: id }
        if (signal.kind === kind) subject = id
      }
      const nodes = signal.nodes?.map((name) => {
        const key = `node:${name}`
        uses.set(key, Math.min(uses.get(key) ?? at, at))
        return names.resolve('node', name, at) ?? name
      })
      let isBelieved = false
      if (saying === 'action_requested') {
        firstRequestAt = Math.min(firstRequestAt, at)
        const since = links.node_id === undefined ? undefined : spokenSince.get(links.node_id)
        isBelieved = since === undefined || at < since - answerMicros
      }
      if (links === signal.links && nodes === undefined && !isBelieved) return signal
      return { ...signal, links, subject, nodes, isBelieved }
    },
  }
}
