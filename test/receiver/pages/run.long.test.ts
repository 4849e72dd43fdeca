import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import type { RunAnswer, RunsAnswer } from '../../../receiver/src/http/run-answer.ts'
import {
  expectFits,
  expectSound,
  hostile,
  longName,
  type PageHouse,
  startPages,
} from '../../support/browser.ts'
import { storeNames } from '../../support/store-flag.ts'

describe.each(storeNames)('runs in a real browser, on %s', (store) => {
  let house: PageHouse
  let skip: string | undefined
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  const experiment_id = createEventId()
  const [one, two] = [createEventId(), createEventId()]
  let failure = ''
  beforeAll(async () => {
    const alert_rules = JSON.stringify([{ name: 'any-error', selector: { log_level: 40 } }])
    const started = await startPages({ alert_rules }, store)
    if ('skip' in started) {
      skip = started.skip
      return
    }
    house = started
    const { send } = house
    const node_id = createEventId()
    await send('node_start', { node_name: longName }, { node_id })
    await send('experiment_start', { experiment_name: 'growth curves' }, { experiment_id })
    for (const [workflow_id, name] of [
      [one, hostile],
      [two, longName],
    ] as const) {
      const step_id = createEventId()
      const ids = { workflow_id, experiment_id }
      await send('workflow_start', { name, author: 'Ada', status: 'running' }, ids)
      await send('workflow_step_start', { name: 'transfer' }, { ...ids, step_id })
      for (const od600 of [0.25, 0.75])
        await send('log_info', { message: `read ${od600}`, od600 }, { ...ids, node_id })
      if (workflow_id === one)
        failure = await send('log_error', { message: `no tip ${hostile}` }, { ...ids, node_id, step_id }, 40)
      await send('workflow_step_complete', { name: 'transfer' }, { ...ids, step_id })
      await send('workflow_complete', { name, status: workflow_id === one ? 'failed' : 'completed' }, ids)
    }
  })
  afterAll(() => house?.close())

  const ask = async <Answer>(path: string) =>
    (await (await fetch(house.receiver.url + path)).json()) as Answer

  async function runCli(args: string[]) {
    let stdout = ''
    const code = await runCommand(args, {
      environment: {},
      workingDirectory: house.receiver.folder,
      stdout: {
        write: (text) => {
          stdout += text
        },
      },
      stderr: { write: () => {} },
      stopping: new AbortController().signal,
    })
    return { code, stdout }
  }

  it('programs get JSON: outcome, rows, failures with what was before, numbers, people, alerts', async () => {
    const { runs } = await ask<RunsAnswer>('runs')
    expect(runs.map(({ kind, outcome, user }) => [kind, outcome, user])).toEqual([
      ['workflow', 'completed', 'Ada'],
      ['workflow', 'failed', 'Ada'],
      ['experiment', null, null],
    ])
    const run = await ask<RunAnswer>(`run/workflow/${one}`)
    expect(run).toMatchObject({ name: hostile, outcome: 'failed', experiment_id, people: ['Ada'], cuts: [] })
    expect(run.rows.map(({ kind, name }) => [kind, name]).slice(0, 2)).toEqual([
      ['workflow', hostile],
      ['step', 'transfer'],
    ])
    const [first, second] = run.failures
    expect(second!.event.type).toBe('workflow_complete')
    expect(first!.event.id).toBe(failure)
    expect(first!.before.map(({ message }) => message).slice(-2)).toEqual(['read 0.25', 'read 0.75'])
    expect(run.numbers).toEqual([{ name: 'od600', count: 2, least: 0.25, greatest: 0.75, last: 0.75 }])
    const rules = async () => (await ask<RunAnswer>(`run/workflow/${one}`)).alerts?.map(({ rule }) => rule)
    await expect.poll(rules, { timeout: 10_000 }).toContain('any-error')
    expect((await ask<RunAnswer>(`run/workflow/${two}`)).alerts).toEqual([])
    // All that the experiment's workflows said, and nothing of another run.
    const whole = await ask<RunAnswer>(`run/experiment/${experiment_id}`)
    expect(whole.rows.filter(({ kind }) => kind === 'workflow')).toHaveLength(2)
    expect(whole.events).toHaveLength(2 * run.events.length)
    for (const path of [`run/workflow/${createEventId()}`, 'run/node/x'])
      expect([404, 422]).toContain((await fetch(house.receiver.url + path)).status)
  })

  it('an event of many numbers, a workflow of many events: bounded, and what is left out is said', async () => {
    const workflow_id = createEventId()
    await house.send('workflow_start', { name: 'many' }, { workflow_id })
    const numbers = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`n${index}`, index]))
    for (let index = 0; index < 6; index++) {
      const answer = await fetch(`${house.receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ event_type: 'log_info', event_data: numbers, source: { workflow_id } }),
      })
      expect(answer.status).toBe(200)
    }
    await Promise.all(
      Array.from({ length: 600 }, () => house.send('log_info', { message: 'again' }, { workflow_id })),
    )
    await expect
      .poll(async () => (await ask<RunAnswer>(`run/workflow/${workflow_id}`)).cuts, { timeout: 20_000 })
      .toEqual(['107 later events'])
    const run = await ask<RunAnswer>(`run/workflow/${workflow_id}`)
    expect([run.events.length, run.numbers.length]).toEqual([500, 100])
  })

  it('report run writes one file that shows all of it, runs nothing and asks for nothing', async () => {
    const output = join(house.receiver.folder, 'report.html')
    const { code, stdout } = await runCli([
      'report',
      'run',
      one,
      `--output=${output}`,
      `--server_url=${house.receiver.url}`,
    ])
    expect([code, stdout.trim()]).toEqual([0, output])
    const html = readFileSync(output, 'utf8')
    expect(html).not.toMatch(/<(?:script|img|a|link|iframe)\b/i)
    const opened = await house.browser.newPage()
    const asked: string[] = []
    opened.on('request', (request) => asked.push(request.url()))
    await opened.goto(pathToFileURL(output).href)
    expect(asked).toEqual([pathToFileURL(output).href])
    expect(await opened.textContent('h1')).toBe(hostile)
    expect(await opened.textContent('main')).toContain('od600')
    expect(await opened.locator('tr.bad').count()).toBe(2)
    expect(await opened.evaluate('window.broken')).toBeUndefined()
    await opened.close()
    expect(
      (await runCli(['report', 'run', createEventId(), `--server_url=${house.receiver.url}`])).code,
    ).toBe(1)
    expect((await runCli(['report', 'day', one])).code).toBe(2)
  })

  const pages = {
    runs: () => 'runs',
    run: () => `run/workflow/${one}`,
    pair: () => `run/workflow/${one}?with=workflow/${two}`,
  }
  const signs = {
    runs: '.runs li',
    run: '.gantt li',
    pair: 'article:nth-child(1):has(.gantt li) + article .gantt li',
  }
  for (const name of ['runs', 'run', 'pair'] as const) {
    for (const dark of [false, true])
      it(`${name}, ${dark ? 'dark' : 'light'}: sound`, async () => {
        const opened = await house.open(pages[name](), { dark })
        await opened.page.waitForSelector(signs[name])
        await expectSound(opened)
        await opened.page.close()
      })
    it(`${name}: nothing sticks out`, () => expectFits(house, pages[name](), signs[name]))
  }

  it('tells the experiment of a workflow by its name, and when in the run an event was', async () => {
    const { page, troubles } = await house.open(`run/workflow/${one}`)
    await page.waitForSelector('dd a:has-text("growth curves")')
    const title = await page
      .locator('section:has(h2:has-text("Events")) li .since')
      .nth(1)
      .getAttribute('title')
    expect(title).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z, [\d.]+ s after the start$/)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('leads from the list to a run, to its failure, and to two side by side; prints without its rail', async () => {
    const { page, troubles } = await house.open('')
    await page.click('nav a:has-text("Runs")')
    await page.waitForSelector('.runs li')
    await page.fill('input[type=search]', 'failed')
    await expect.poll(() => page.locator('.runs li').count()).toBe(1)
    await page.click('.runs li a')
    await page.waitForSelector('.failure a:has-text("no tip")')
    expect(await page.locator('.failure li').count()).toBeGreaterThan(2)
    await page.emulateMedia({ media: 'print' })
    expect(await page.isVisible('header')).toBe(false)
    expect(await page.isVisible('.gantt li')).toBe(true)
    await page.emulateMedia({ media: 'screen' })
    await page.click('.failure a:has-text("no tip")')
    await page.waitForURL(`${house.receiver.url}e/${failure}`)
    await page.goBack()
    await page.waitForSelector('.failure')
    await page.goBack()
    await page.waitForSelector('.runs li')
    for (const box of await page.locator('.runs input').all()) await box.check()
    await page.click('a:has-text("Side by side")')
    await page.waitForSelector(signs.pair)
    expect(troubles).toEqual([])
    await page.goto(`${house.receiver.url}run/workflow/${createEventId()}`)
    await page.waitForSelector('h1:has-text("was heard of")')
    await page.close()
  })
})
