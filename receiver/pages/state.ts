import { signal } from '@preact/signals'

export const path = signal(location.pathname)
/** With its question mark; '' when there is none. */
export const query = signal(location.search)

const readAddress = () => {
  path.value = location.pathname
  query.value = location.search
}
addEventListener('popstate', ({ state }: PopStateEvent) => {
  readAddress()
  const y = (state as Place | null)?.y
  if (typeof y === 'number') returnTo(y)
})

/** Where one was on a page that one left by a link. */
interface Place {
  y: number
}

const returnMs = 1500
/** What somebody does to the place of the page ends what the page does to it. */
const handEvents = ['wheel', 'touchstart', 'pointerdown', 'keydown'] as const

/** Goes back to that place. The browser does it too, but not where the page is drawn again a moment too late. */
function returnTo(y: number): void {
  const untilMs = performance.now() + returnMs
  const hand = new AbortController()
  for (const name of handEvents)
    addEventListener(name, () => hand.abort(), { passive: true, signal: hand.signal })
  const step = () => {
    if (hand.signal.aborted) return
    if (Math.abs(scrollY - y) > 1) scrollTo(0, y)
    if (performance.now() < untilMs) requestAnimationFrame(step)
    else hand.abort()
  }
  requestAnimationFrame(step)
}

/** Goes to another address of the pages. */
export function go(address: string, { isReplacing = false } = {}): void {
  if (isReplacing) history.replaceState(null, '', address)
  else {
    history.replaceState({ y: scrollY } satisfies Place, '')
    history.pushState(null, '', address)
  }
  readAddress()
}

/** Follows a link within the pages without loading them again. */
export function follow(event: MouseEvent): void {
  const { currentTarget: anchor } = event
  if (!(anchor instanceof HTMLAnchorElement) || anchor.origin !== location.origin) return
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  const before = location.pathname
  go(anchor.href)
  if (location.pathname === before) return
  scrollTo(0, 0)
  document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
}

const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone
/** IANA name of the laboratory's zone, as the receiver says it; that of the browser where it does not know that zone. */
export const labZone = knownZone(document.documentElement.dataset.zone)

/** Zones by the name of their clock. */
const zones = { browser: browserZone, lab: labZone, UTC: 'UTC' }
export type Zone = keyof typeof zones
/** The clocks that one may choose; that of the laboratory where it is another than the browser's. */
export const clocks: readonly Zone[] =
  labZone === browserZone ? ['browser', 'UTC'] : ['browser', 'lab', 'UTC']
/** The clock of every time on the pages; remembered in this browser, where it lets us. */
export const zone = signal<Zone>(remembered())
/** Its IANA name. */
export const zoneName = () => zones[zone.value]

function knownZone(name: string | undefined): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone
  } catch {
    return browserZone
  }
}

function remembered(): Zone {
  try {
    const text = localStorage.getItem('zone')
    return clocks.find((one) => one === text) ?? 'browser'
  } catch {
    return 'browser'
  }
}

export function chooseZone(chosen: Zone): void {
  zone.value = chosen
  try {
    localStorage.setItem('zone', chosen)
  } catch {
    // Only this page remembers it then.
  }
}

/** When the receiver answered last, and what came of asking it: milliseconds of this browser's clock. */
export const contact = signal<{ atMs: number | undefined; error: string | undefined }>({
  atMs: undefined,
  error: undefined,
})

/** This browser's clock, once a second. */
export const nowMs = signal(Date.now())
setInterval(() => {
  nowMs.value = Date.now()
}, 1000)

const patienceMs = 15_000

/** JSON of the receiver itself. Throws what it answers instead, in its own words. */
export const ask = async (url: string, waitMs = patienceMs): Promise<string> =>
  (await askPage(url, waitMs)).text

/** The same with where the next page begins; undefined for the last one. `scannedTo`: the time limit ended the search there. */
export async function askPage(
  url: string,
  waitMs = patienceMs,
  init: { method?: string; body?: string; headers?: { [name: string]: string } } = {},
): Promise<{ text: string; next: string | undefined; scannedTo: string | undefined }> {
  try {
    const answer = await fetch(url, {
      ...init,
      headers: { accept: 'application/json', ...init.headers },
      signal: AbortSignal.timeout(waitMs),
    })
    const text = await answer.text()
    contact.value = { atMs: Date.now(), error: undefined }
    if (!answer.ok) throw new AnswerError(answer.status, problemsIn(text))
    const header = (name: string) => answer.headers.get(name) ?? undefined
    return { text, next: header('x-next-cursor'), scannedTo: header('x-scanned-to') }
  } catch (error) {
    if (!(error instanceof AnswerError))
      contact.value = { ...contact.value, error: 'The receiver does not answer' }
    throw error
  }
}

const actionMs = 120_000

/** The same with something to say: POST of JSON. */
export const tell = async (url: string, body: object, headers: { [name: string]: string } = {}) => {
  const init = {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  }
  return (await askPage(url, actionMs, init)).text
}

export class AnswerError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

function problemsIn(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown }
    if (Array.isArray(detail)) return (detail as { msg: string }[]).map(({ msg }) => msg).join('; ')
    return typeof detail === 'string' ? detail : JSON.stringify(detail)
  } catch {
    return 'The receiver answered something else than JSON'
  }
}
