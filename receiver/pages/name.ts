import { signal } from '@preact/signals'
import type { NamesAnswer } from '../src/http/name-answer.ts'
import { ask } from './state.ts'

/** What the receiver calls things, for events that carry an id alone. By kind and id; '' where it knows no name. */
const known = signal<ReadonlyMap<string, string>>(new Map())
const wanted = new Map<string, [kind: string, id: string]>()
let isSoon = false
const soonMs = 30
const againMs = 30_000
const maxAsked = 50

/** The name of a thing; '' until the receiver has told it, which draws again what reads it. */
export function nameOf(kind: string, id: string): string {
  const key = `${kind} ${id}`
  const name = known.value.get(key)
  if (name === undefined && id !== '' && !wanted.has(key)) {
    wanted.set(key, [kind, id])
    askSoon()
  }
  return name ?? ''
}

function askSoon(): void {
  if (isSoon) return
  isSoon = true
  setTimeout(read, soonMs)
}

async function read(): Promise<void> {
  isSoon = false
  const asked = [...wanted].slice(0, maxAsked)
  let names: NamesAnswer['names'] = {}
  try {
    const parameters = new URLSearchParams(asked.map(([, pair]) => pair))
    names = (JSON.parse(await ask(`/data/names?${parameters}`)) as NamesAnswer).names
  } catch {
    // Events are shown without them.
  }
  const next = new Map(known.peek())
  for (const [key, [kind, id]] of asked) {
    next.set(key, names[kind]?.[id] ?? '')
    wanted.delete(key)
  }
  known.value = next
  if (wanted.size > 0) askSoon()
  const unknown = asked.map(([key]) => key).filter((key) => next.get(key) === '')
  if (unknown.length > 0) setTimeout(() => forget(unknown), againMs)
}

/** Names may be told any moment: who still shows these things asks again. */
function forget(keys: string[]): void {
  const next = new Map(known.peek())
  for (const key of keys) if (next.get(key) === '') next.delete(key)
  known.value = next
}
