import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { levelNames } from '../../sdk/src/event/level.ts'
import { KeyList } from './key-list.tsx'
import { chooseZone, clocks, contact, follow, labZone, nowMs, path, query, type Zone, zone } from './state.ts'
import { showSpan } from './time.ts'

// Longer than a few questions take, so that one slow answer is no alarm.
export const staleMs = 10_000

/** What every page has around it: the rail, the clock and whether the receiver answers. */
export function Shell({ children }: { children: ComponentChildren }) {
  const isWall = path.value === '/' && new URLSearchParams(query.value).has('wall')
  // Of a narrow screen's row of words, the one of this page is seen.
  useEffect(() => {
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [path.value])
  useEffect(() => (isWall ? reloadNightly() : undefined), [isWall])
  if (isWall)
    return (
      <main class="wall">
        {children}
        <Contact />
      </main>
    )
  return (
    <>
      <header>
        <nav aria-label="Pages">
          <PageLink to="/" name="Lab" />
          <PageLink to="/explore" name="Explore" />
          <PageLink to="/timeline" name="Timeline" />
          <PageLink to="/runs" name="Runs" />
          <PageLink to="/watch" name="Alerts" />
          <PageLink to="/ops" name="Operation" />
          <PageLink to="/use" name="Use" />
          <a href="/docs">API</a>
        </nav>
        <select
          aria-label="The clock of every time on the pages"
          title="The clock of every time on the pages"
          value={zone.value}
          onChange={({ currentTarget }) => chooseZone(currentTarget.value as Zone)}
        >
          {clocks.map((one) => (
            <option key={one} value={one}>
              {one === 'browser' ? 'local time' : one === 'lab' ? `lab time (${labZone})` : 'UTC'}
            </option>
          ))}
        </select>
        <KeyList />
        <Contact />
      </header>
      <main tabIndex={-1}>{children}</main>
    </>
  )
}

function PageLink({ to, name }: { to: string; name: string }) {
  return (
    <a href={to} onClick={follow} {...(path.value === to && { 'aria-current': 'page' as const })}>
      {name}
    </a>
  )
}

/** At three in the night, by the clock of the display, where the receiver answers: a page that stands for months stays as new. */
function reloadNightly(): () => void {
  const next = new Date()
  next.setHours(3, 0, 0, 0)
  if (next.getTime() <= Date.now()) next.setDate(next.getDate() + 1)
  const timer = setInterval(() => {
    if (Date.now() >= next.getTime() && contact.value.error === undefined) location.reload()
  }, 60_000)
  return () => clearInterval(timer)
}

function Contact() {
  const { atMs, error } = contact.value
  const isFine = error === undefined && atMs !== undefined
  const text =
    atMs === undefined
      ? (error ?? 'asking')
      : error === undefined
        ? 'connected'
        : `not connected for ${showSpan(nowMs.value - atMs)}`
  return (
    <span class={`contact ${isFine ? 'fine' : 'lost'}`} role="status">
      {text}
    </span>
  )
}

const letters = ['', 'D', 'I', 'W', 'E', 'C']
const words = ['not set', ...levelNames.slice(1)]

/** A level by letter and colour. */
export function Level({ level }: { level: number }) {
  const index = Math.floor(level / 10)
  const word = words[index] ?? String(level)
  return (
    <span class={`level level-${word.replace(' ', '-')}`} title={word}>
      {letters[index] || '·'}
    </span>
  )
}

/** An id where a name is missing, in its last characters. */
export const shortId = (id: string) => (id.length > 8 ? `…${id.slice(-6)}` : id)
