// How long does a person wait for each page over a million events, in a real browser, and how many frames a second does the timeline draw?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { silentLog } from '../../receiver/src/log.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { startPages } from '../support/browser.ts'
import { type Bench, createReport, median } from './figure.ts'
import { makeHistory } from './timeline.ts'

const rounds = 3
const frames = 120
const patienceMs = 300_000

/** Milliseconds of a piece of work, the median of some rounds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const startedMs = performance.now()
    await work()
    times.push(performance.now() - startedMs)
  }
  return median(times)
}

async function fill(path: string, events: number): Promise<void> {
  const store = await openSqliteStore({ path, log: silentLog })
  const writing: Promise<unknown>[] = []
  for (const batch of makeHistory(events)) {
    writing.push(store.write(batch))
    if (writing.length >= store.writeConcurrency) await writing.shift()
  }
  await Promise.all(writing)
  await store.close()
}

/** Pans the timeline in every frame: frames a second, and the longest time between two. */
async function pan(page: Page): Promise<{ perSecond: number; longestMs: number }> {
  return (await page.evaluate(`new Promise((resolve) => {
    const canvas = document.querySelector('.timeline canvas')
    const { left, top } = canvas.getBoundingClientRect()
    const times = []
    const step = (now) => {
      times.push(now)
      if (times.length > ${frames}) {
        const gaps = times.slice(1).map((time, index) => time - times[index])
        resolve({ perSecond: 1000 * gaps.length / (times.at(-1) - times[0]), longestMs: Math.max(...gaps) })
        return
      }
      const deltaX = times.length % 40 < 20 ? 30 : -30
      canvas.dispatchEvent(new WheelEvent('wheel', { deltaX, shiftKey: true, cancelable: true, clientX: left + 9, clientY: top + 60 }))
      requestAnimationFrame(step)
    }
    requestAnimationFrame(step)
  })`)) as { perSecond: number; longestMs: number }
}

export const pagesBench: Bench = {
  question: 'what a person waits for in a browser, SQLite',
  async run(scale) {
    const report = createReport(this.question)
    const events = Math.max(3000, Math.round(1_000_000 * scale))
    const folder = await mkdtemp(join(tmpdir(), 'madsci-pages-'))
    const path = join(folder, 'events.db')
    await fill(path, events)
    const house = await startPages({ document_db_url: `sqlite:${path}` })
    if ('skip' in house) {
      await rm(folder, { recursive: true, force: true })
      report.skipped.push(house.skip)
      return report
    }
    try {
      const { page } = await house.open('timeline?span=all')
      const wait = (selector: string) => page.waitForSelector(selector, { timeout: patienceMs })
      const visit = async (address: string, selector: string) => {
        await page.goto(house.receiver.url + address)
        await wait(selector)
      }
      // The first report reads everything that is stored.
      await wait('.timeline-names li')
      const [newest] = Object.keys(
        (await (await fetch(`${house.receiver.url}events?number=1`)).json()) as object,
      )
      report.note(
        `${events} events: /, until its nodes are there`,
        await timed(() => visit('', '.tile')),
        'ms',
      )
      report.note('an event by its link', await timed(() => visit(`e/${newest}`, 'pre')), 'ms')
      report.note(
        'the explorer, until its rows',
        await timed(() => visit('explore?span=all', '.events td')),
        'ms',
      )
      report.note(
        'the explorer, until its histogram',
        await timed(() => visit('explore?span=all', '.histogram canvas')),
        'ms',
      )
      const summary = `${house.receiver.url}events/summary?buckets=120&values=8&timeout_ms=3000`
      report.note(
        "the receiver's part of it, GET /events/summary",
        await timed(async () => (await fetch(summary)).text()),
        'ms',
      )
      let word = 0
      const search = async () => {
        await page.fill('input[type=search]', `"Transferred ${++word} ul"`)
        await page.keyboard.press('Enter')
        await wait(`.events td:has-text("Transferred ${word} ul")`)
      }
      report.note('a search, until its first rows', await timed(search), 'ms')
      await visit('explore?span=all', '.events td')
      await page.keyboard.press('j')
      await wait('aside pre')
      const go = async () => {
        const before = new URL(page.url()).searchParams.get('id')
        await page.keyboard.press('j')
        await page.waitForFunction(`!location.search.includes('${before}')`)
      }
      report.note('the next event by j, with its detail', await timed(go), 'ms')
      report.note(
        'the timeline of all time',
        await timed(() => visit('timeline?span=all', '.timeline-names li')),
        'ms',
      )
      const text = (await page.textContent('.timeline-bar [role=status]')) ?? ''
      report.note('intervals on it', Number(text.split(' ')[0]!.replaceAll(',', '')), 'intervals')
      const { perSecond, longestMs } = await pan(page)
      report.note('frames a second while it is moved', perSecond, '1/s')
      report.note('longest time between two frames', longestMs, 'ms')
    } finally {
      await house.close()
      await rm(folder, { recursive: true, force: true })
    }
    return report
  },
}
