import { EventError, parseJson, toJson } from '@madsci-events/sdk/event'
import { countOf } from '../plural.ts'
import type { CommandCall } from './call.ts'
import { type EventFilter, toEventFilter } from './event-filter.ts'
import { type EventDocument, momentOf, toDate, toDay, toEventLine } from './event-line.ts'
import { createNames, findUnknown, toUrl } from './names.ts'
import { ask, baseUrl } from './remote.ts'
import { allowsColour, type Terminal } from './terminal.ts'

/** Events of a running receiver: `query` and `tail`. */

const pageEvents = 1000
const rememberedMoments = 1000

export async function query(call: CommandCall, terminal: Terminal): Promise<number> {
  const { options } = call
  const base = baseUrl(call, terminal)
  const filter = readFilter(call)
  const number = Number(filter.parameters.number ?? 100)
  if (options.json) {
    const answer = await ask(toUrl('events', base, filter))
    terminal.stdout.write(`${await answer.text()}\n`)
    return 0
  }
  const events: EventDocument[] = []
  for await (const event of readEvents(base, filter, terminal)) {
    events.push(event)
    if (events.length === number) break
  }
  if (events.length === 0) {
    terminal.stderr.line('no event matches')
    for (const line of await findUnknown(base, filter.names ?? [])) terminal.stderr.line(line)
  }
  const names = createNames(base)
  await names.learn(events)
  const today = toDay(new Date())
  const show = createShow(terminal, {
    names: names.known,
    hasDay: events.some((event) => toDay(toDate(String(event.event_timestamp))) !== today),
  })
  for (const event of events) show(event)
  if (events.length === number)
    terminal.stderr.line(`these are the ${countOf(number, 'newest event')}; --number=0 shows all`)
  return 0
}

/** Follows until a signal comes; comes back to where it was when the receiver restarts. */
export async function tail(call: CommandCall, terminal: Terminal): Promise<number> {
  const { options } = call
  const base = baseUrl(call, terminal)
  const filter = readFilter(call)
  const { start_time: since, ...parameters } = filter.parameters
  const url = toUrl('events/stream', base, { ...filter, parameters })
  const names = createNames(base)
  const show = createShow(terminal, { names: names.known, hasDay: false })
  const { stopping } = terminal
  let lastEventId: string | undefined
  let hasBegun = false
  const shown = new Set<string>()
  while (!stopping.aborted) {
    try {
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
      const answer = await ask(url, { headers, signal: stopping })
      if (!hasBegun) await begin()
      hasBegun = true
      let text = ''
      for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          for (const line of text.slice(0, end).split('\n')) {
            if (line.startsWith('id: ')) lastEventId = line.slice(4)
            else if (line.startsWith('data: ')) await take(line.slice(6))
          }
          text = text.slice(end + 2)
        }
      }
    } catch (error) {
      if (stopping.aborted) break
      // A receiver that never answered, or that refuses the question, is an error; one that went away is waited for.
      if (!hasBegun || (error instanceof EventError && error.code === 'EVT_REFUSED')) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  return 0

  /** What is stored already, when it is asked for; a hint when a name is not known. */
  async function begin(): Promise<void> {
    if (since !== undefined) {
      const past: EventDocument[] = []
      const all = { ...filter, parameters: { ...filter.parameters, number: '0' } }
      for await (const event of readEvents(base, all, terminal)) {
        past.unshift(event)
        if (past.length === pageEvents) break
      }
      if (past.length === pageEvents)
        terminal.stderr.line(`the newest ${pageEvents} from ${since} on; query shows all`)
      await names.learn(past)
      for (const event of past) {
        shown.add(String(event._id))
        if (options.json) terminal.stdout.write(`${toJson(event)}\n`)
        else show(event)
      }
    }
    for (const line of await findUnknown(base, filter.names ?? [])) terminal.stderr.line(line)
  }

  async function take(json: string): Promise<void> {
    const event = parseJson(json) as EventDocument
    // Committed while what was there already was read.
    if (shown.delete(String(event._id))) return
    if (options.json) return void terminal.stdout.write(`${json}\n`)
    await names.learn([event])
    show(event)
  }
}

const readFilter = ({ arguments: [selector], options }: CommandCall): EventFilter =>
  toEventFilter(selector, options, new Date())

/** What is older was not looked at. */
function scannedToOf({ headers }: Response): string | undefined {
  const text = headers.get('x-scanned-to')
  return text === null ? undefined : text.endsWith('Z') ? text : `${text}Z`
}

/** Events, newest first, page by page; where a search takes long it is told how far it came. */
async function* readEvents(
  base: URL,
  filter: EventFilter,
  { stderr }: Terminal,
): AsyncGenerator<EventDocument> {
  const url = toUrl('events', base, filter)
  const number = Number(filter.parameters.number ?? 100)
  url.searchParams.set('number', String(number === 0 ? pageEvents : Math.min(number, pageEvents)))
  for (let cursor: string | null = ''; cursor !== null; ) {
    url.searchParams.set('cursor', cursor)
    const answer = await ask(url)
    for (const event of Object.values(parseJson(await answer.text()) as { [id: string]: EventDocument }))
      yield event
    cursor = answer.headers.get('x-next-cursor')
    const scannedTo = scannedToOf(answer)
    if (scannedTo !== undefined) stderr.line(`searched back to ${scannedTo}, and goes on`)
  }
}

function createShow(
  { stdout, environment }: Terminal,
  { names, hasDay }: { names: ReadonlyMap<string, string>; hasDay: boolean },
): (event: EventDocument) => void {
  const hasColour = stdout.isTTY && allowsColour(environment)
  const moments = new Map<string, string>()
  return (event) => {
    const moment = momentOf(event)
    const type = String(event.event_type)
    if (moment !== undefined) {
      const other = moments.get(moment)
      const isTold = other !== undefined && other !== type
      if (isTold && [other, type].includes('action_status_change')) return
      moments.set(moment, type)
      if (moments.size > rememberedMoments) moments.delete(moments.keys().next().value!)
    }
    const columns = stdout.isTTY ? (stdout.columns ?? 80) : undefined
    // Text of others in it is inert already: see event-line.ts.
    stdout.control(`${toEventLine(event, { names, columns, hasColour, hasDay })}\n`)
  }
}
