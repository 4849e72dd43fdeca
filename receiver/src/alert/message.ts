import { isObject, levelNames, parseJson, toJson, type Value } from '@madsci-events/sdk/event'
import { countOf } from '../plural.ts'
import type { EventStore, StoredEvent } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import type { Message, ToldEvent } from './channel.ts'
import type { Notification } from './group.ts'
import { lineOf } from './webhook.ts'

export interface ComposeOptions {
  store: EventStore
  /** Where people reach this receiver, with a slash at the end. */
  publicUrl: string
  /** Where below that an event is shown. */
  eventPath: 'e' | 'event'
}

type Document = { [key: string]: Value }

const maxEvents = 20
// Of all events of a message: mail servers and chat rooms refuse what is much larger.
const maxCharacters = 200_000
const neighbourCount = 10
// An alert does not wait for them.
const findTimeoutMs = 2000

/** What a notice tells, with its events as they are stored now. Throws EVT_STORE_UNAVAILABLE. */
export async function composeMessage(
  id: string,
  notice: Notification,
  { store, publicUrl, eventPath }: ComposeOptions,
): Promise<Message> {
  const link = (eventId: string) => `${publicUrl}${eventPath}/${encodeURIComponent(eventId)}`
  const events: ToldEvent[] = []
  let characters = 0
  for (const eventId of notice.ids.slice(0, maxEvents)) {
    const stored = await store.get(eventId)
    const document = stored && documentOf(stored)
    if (!document) continue
    characters += stored.json.length
    const isWhole = characters <= maxCharacters
    if (!isWhole) characters -= stored.json.length
    events.push({
      id: eventId,
      document: isWhole ? document : cut(document),
      link: link(eventId),
    })
  }
  const neighbours = events[0] ? await findNeighbours(store, events[0].document as Document) : []
  const subject = toSubject(notice, events)
  return {
    id,
    notice,
    subject,
    text: plainTextOf(notice, events, publicUrl),
    html: toHtml({ notice, subject, events, neighbours, link, publicUrl }),
    events,
  }
}

function documentOf({ json }: StoredEvent): Document | undefined {
  const parsed = parseJson(json)
  if (!isObject(parsed)) return undefined
  const { _id, ...fields } = parsed
  return { event_id: _id ?? null, ...fields }
}

/** Without what makes an event large; the link leads to the whole. */
function cut({ event_data: data, otel: _, ...fields }: Document): Document {
  const message = isObject(data) && typeof data.message === 'string' ? data.message.slice(0, 1000) : ''
  return { ...fields, event_data: { message, cut: true } }
}

/** The events of the same workflow just before, newest first. */
async function findNeighbours(store: EventStore, document: Document): Promise<Document[]> {
  const workflow = isObject(document.source) ? document.source.workflow_id : undefined
  const timestamp = document.event_timestamp
  if (typeof workflow !== 'string' || typeof timestamp !== 'string') return []
  const found: Document[] = []
  const query = {
    selector: parseSelector({ 'source.workflow_id': workflow }),
    endTime: timestamp,
    archived: 'include',
    order: 'newest',
    limit: neighbourCount + 1,
    offset: 0,
    timeoutMs: findTimeoutMs,
  } as const
  try {
    for await (const chunk of store.find(query, { client: 'alert', isReserved: true }))
      for (const one of chunk) {
        const neighbour = documentOf(one)
        if (neighbour && neighbour.event_id !== document.event_id) found.push(neighbour)
      }
  } catch {
    // An alert without its neighbours is better than none.
  }
  return found.slice(0, neighbourCount)
}

/** As MADSci writes it on Python 3.11 and later; behind that whose event it is, and what it says. */
function toSubject(notice: Notification, events: readonly ToldEvent[]): string {
  const first = events[0]?.document
  const level = levelNames[notice.level / 10]?.toUpperCase() ?? String(notice.level)
  if (notice.kind === 'test') return `TEST: ${notice.why}`
  if (notice.kind === 'recovery') return clean(`RECOVERED: ${notice.rule}: ${notice.why}`)
  const more = notice.count > 1 ? ` (+${notice.count - 1} more)` : ''
  const lead = notice.kind === 'escalation' ? 'ESCALATED ' : ''
  const type = first ? `EventType.${String(first.event_type).toUpperCase()}` : `${notice.rule}: ${notice.why}`
  const shown = first ? (levelNames[Number(first.log_level) / 10]?.toUpperCase() ?? level) : level
  const detail = first ? detailOf(first as Document) : ''
  return clean(`${lead}ALERT (EventLogLevel.${shown}): ${type}${more}${detail}`)
}

const maxSubjectMessage = 120

/** ', arm: no tip' */
function detailOf({ source, event_data: data }: Document): string {
  const own = isObject(data) ? data : {}
  const ids = isObject(source) ? source : {}
  const who = [own.node_name, ids.node_id, ids.workcell_id].find((one) => typeof one === 'string')
  const what = typeof own.message === 'string' ? own.message.slice(0, maxSubjectMessage) : undefined
  if (who === undefined) return what === undefined ? '' : `: ${what}`
  return `, ${who}${what === undefined ? '' : `: ${what}`}`
}

/** One line, without characters that end a header, or that hide or turn text. */
function clean(text: string): string {
  return [...text]
    .map((char) => (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(char) ? ' ' : char))
    .join('')
    .slice(0, 300)
}

/** Where more is told; of a test nothing is kept. */
const pageOf = ({ kind, alertId }: Notification, publicUrl: string) =>
  kind === 'test' ? publicUrl : `${publicUrl}alerts/${alertId}`

/** MADSci's text part, the event as indented JSON; what else there is to tell follows it. */
function plainTextOf(notice: Notification, events: readonly ToldEvent[], publicUrl: string): string {
  const first = events[0]
  const parts: string[] = []
  if (first) parts.push(indentJson(first.document as Document))
  const isPlain = notice.kind === 'firing' && notice.count <= 1 && first
  if (isPlain) return parts[0]!
  parts.push(`${notice.rule}: ${notice.why}`)
  if (notice.count > 1 || !first)
    parts.push(`Events told here: ${notice.count}; of this alert so far: ${notice.total}`)
  const others = events.slice(1).map(({ document, link }) => `${lineOf(document)}\n  ${link}`)
  if (others.length > 0) parts.push(others.join('\n'))
  for (const item of notice.items ?? []) parts.push(`${item.key} ${item.why}: ${item.count}`)
  parts.push(pageOf(notice, publicUrl))
  return parts.join('\n\n')
}

/** As Python's `json.dumps(…, indent=2)` breaks lines; digits stay as they are stored. */
export function indentJson(value: Value, depth = 0): string {
  const pad = '  '.repeat(depth + 1)
  const end = '  '.repeat(depth)
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[\n${value.map((one) => pad + indentJson(one, depth + 1)).join(',\n')}\n${end}]`
  }
  if (isObject(value)) {
    const entries = Object.entries(value)
    if (entries.length === 0) return '{}'
    const lines = entries.map(
      ([name, member]) => `${pad}${JSON.stringify(name)}: ${indentJson(member, depth + 1)}`,
    )
    return `{\n${lines.join(',\n')}\n${end}}`
  }
  return toJson(value)
}

interface Page {
  notice: Notification
  subject: string
  events: readonly ToldEvent[]
  neighbours: readonly Document[]
  link: (id: string) => string
  publicUrl: string
}

function toHtml({ notice, subject, events, neighbours, link, publicUrl }: Page): string {
  const anchor = (id: string, text: string) => `<a href="${escapeHtml(link(id))}">${escapeHtml(text)}</a>`
  const parts = [
    `<h2>${escapeHtml(subject)}</h2>`,
    `<p><b>${escapeHtml(notice.rule)}</b>: ${escapeHtml(notice.why)}</p>`,
  ]
  const first = events[0]
  if (notice.count > 1)
    parts.push(`<p>${countOf(notice.count, 'event')} here, ${notice.total} of this alert so far.</p>`)
  if (first) {
    const json = indentJson(first.document as Document)
    parts.push(`<h3>${anchor(first.id, `Event ${first.id}`)}</h3><pre>${escapeHtml(json)}</pre>`)
  }
  if (events.length > 1) {
    const rows = events.slice(1).map(({ id, document }) => `<li>${anchor(id, lineOf(document))}</li>`)
    parts.push(`<h3>More events</h3><ul>${rows.join('')}</ul>`)
  }
  if (neighbours.length > 0) {
    const rows = neighbours.map((one) => `<li>${anchor(String(one.event_id), lineOf(one))}</li>`)
    parts.push(`<h3>Just before, in the same workflow</h3><ul>${rows.join('')}</ul>`)
  }
  for (const item of notice.items ?? [])
    parts.push(`<p>${escapeHtml(`${item.key} ${item.why}`)}: ${item.count}</p>`)
  const name = notice.kind === 'test' ? 'The laboratory' : `Alert ${notice.alertId}`
  parts.push(`<p><a href="${escapeHtml(pageOf(notice, publicUrl))}">${name}</a></p>`)
  return `<!doctype html><html><body>${parts.join('\n')}</body></html>`
}

const entities: { [char: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (char) => entities[char]!)
