import type { ComponentChildren } from 'preact'
import { indentJson, isPlain, type Json } from './json.ts'
import { follow } from './state.ts'

interface Place {
  /** Keys down to here; undefined where no selector leads: below a key with a dot or a dollar. */
  path: readonly string[] | undefined
  depth: number
  addressOf: (term: string) => string
  /** So many more links: the values of an event are thousands. */
  room: { links: number }
}

const maxLinks = 500
// Longer ones are texts, which a search by words finds.
const maxText = 200

/** JSON indented, with its digits as they were written; each plain value leads to the events that have it there. */
export function JsonView({ event, addressOf }: { event: Json; addressOf: (term: string) => string }) {
  return <pre>{draw(event, { path: [], depth: 0, addressOf, room: { links: maxLinks } })}</pre>
}

function draw(value: Json, place: Place): ComponentChildren {
  const { path, depth, addressOf, room } = place
  const pad = `\n${'  '.repeat(depth + 1)}`
  const end = `\n${'  '.repeat(depth)}`
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    // A selector looks into lists by itself.
    const parts = value.map((one, index) => [
      index > 0 && ',',
      pad,
      draw(one, { ...place, depth: depth + 1 }),
    ])
    return ['[', parts, end, ']']
  }
  if (isPlain(value)) {
    const entries = Object.entries(value)
    if (entries.length === 0) return '{}'
    const parts = entries.map(([name, one], index) => {
      const isSafe = path !== undefined && name !== '' && !/[.$]/.test(name)
      const inner = { ...place, depth: depth + 1, path: isSafe ? [...path, name] : undefined }
      return [index > 0 && ',', pad, JSON.stringify(name), ': ', draw(one, inner)]
    })
    return ['{', parts, end, '}']
  }
  const text = indentJson(value)
  if (path === undefined || path.length === 0 || value === null || text.length > maxText) return text
  if (--room.links < 0) return text
  return (
    <a
      class="value"
      href={addressOf(`{${JSON.stringify(path.join('.'))}: ${text}}`)}
      title="Only events that have this"
      onClick={follow}
    >
      {text}
    </a>
  )
}
