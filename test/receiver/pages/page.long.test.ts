import { readFileSync } from 'node:fs'
import { createEventId } from '@madsci-events/sdk/event'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  expectFits,
  expectSound,
  hostile,
  longName,
  type PageHouse,
  startPages,
} from '../../support/browser.ts'
import { storeNames } from '../../support/store-flag.ts'

describe.each(storeNames)('the pages in a real browser, on %s', (store) => {
  let house: PageHouse
  let receiver: PageHouse['receiver']
  let skip: string | undefined
  let eventId = ''
  beforeEach((context) => {
    if (skip !== undefined) context.skip(skip)
  })
  beforeAll(async () => {
    // Limits count, those of three people: the tests look at more pages in a minute than one would.
    const limits = { rate_limit_exempt_ips: '[]', rate_limit_requests: '900' }
    const started = await startPages(limits, store)
    if ('skip' in started) {
      skip = started.skip
      return
    }
    house = started
    receiver = house.receiver
    const [workflow_id, step_id] = [createEventId(), createEventId()]
    await house.send('node_start', { node_name: longName }, { node_id: createEventId() })
    await house.send('node_start', {}, { node_id: createEventId() })
    await house.send('workflow_start', { name: hostile }, { workflow_id })
    await house.send('workflow_step_start', { name: 'transfer' }, { workflow_id, step_id })
    const node_id = createEventId()
    await house.send('node_start', { node_name: hostile }, { node_id })
    eventId = await house.send(
      'node_error',
      { message: hostile, node_name: hostile, count: 9007199254740993n },
      { node_id },
      40,
    )
  })
  afterAll(() => house?.close())

  const paths = {
    lab: () => '',
    event: () => `e/${eventId}`,
    explore: () => 'explore?span=all',
    detail: () => `explore?span=all&id=${eventId}`,
  }
  const signs = { lab: '.tile', event: 'pre', explore: '.events td', detail: 'aside pre' }
  const names = ['lab', 'event', 'explore', 'detail'] as const
  const pathOf = (name: keyof typeof paths) => paths[name]()
  const ready = (page: Page, name: keyof typeof paths) =>
    page.waitForSelector(signs[name], { timeout: 20_000 })

  for (const name of names)
    for (const dark of [false, true])
      it(`${name}, ${dark ? 'dark' : 'light'}: axe has no finding, nothing is asked elsewhere, nothing foreign runs`, async () => {
        const { page, troubles } = await house.open(pathOf(name), { dark })
        await ready(page, name)
        await expectSound({ page, troubles })
        await page.close()
      })

  it('nothing sticks out', async () => {
    for (const name of names) await expectFits(house, pathOf(name), signs[name])
  })

  it('says in one sentence what is wrong, by name, and follows what happens', async () => {
    const { page } = await house.open('')
    await ready(page, 'lab')
    expect(await page.textContent('h1')).toContain('in error')
    const node_id = createEventId()
    await house.send('node_start', { node_name: 'sealer' }, { node_id })
    await page.waitForSelector('.tile:has-text("sealer")', { timeout: 10_000 })
    expect(await page.textContent('.rows')).toContain('transfer')
    await page.close()
  })

  it('leads by keyboard to the last event and back, and shows its digits exactly', async () => {
    const id = await house.send('log_error', { message: 'lid jammed', count: 9007199254740993n }, {}, 40)
    const { page } = await house.open('')
    await page.waitForSelector('.last a:has-text("lid jammed")', { timeout: 10_000 })
    await page.focus('.last a')
    await page.keyboard.press('Enter')
    await page.waitForSelector('pre')
    expect(new URL(page.url()).pathname).toBe(`/e/${id}`)
    expect(await page.textContent('pre')).toContain('9007199254740993')
    expect(await page.textContent('h1')).toContain('lid jammed')
    await page.goBack()
    await page.waitForSelector('.tile')
    await page.close()
  })

  it('copies where browsers have no clipboard API, switches the clock, and says when an event is not there', async () => {
    const { page, troubles } = await house.open(`e/${eventId}`)
    await page.addInitScript("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await page.reload()
    await page.waitForSelector('pre')
    await page.click('button:has-text("Copy id")')
    await page.waitForSelector('button:has-text("copied")')
    await page.selectOption('header select', 'UTC')
    expect(await page.inputValue('header select')).toBe('UTC')
    expect(troubles).toEqual([])
    await page.goto(`${receiver.url}e/nothing`)
    await page.waitForSelector('h1:has-text("not found")')
    await page.close()
  })

  const messages = (page: Page) =>
    page.locator('.events td:last-child').allTextContents() as Promise<string[]>

  it('explore: finds by the line, keeps it in the address, and Back undoes', async () => {
    await house.send('log_warning', { message: 'gripper is warm', node_name: 'arm one' }, {}, 30)
    await house.send('log_error', { message: 'gripper lost the plate', node_name: 'arm one' }, {}, 40)
    await house.send('log_info', { message: 'gripper is fine', node_name: 'arm two' }, {})
    const { page, troubles } = await house.open('explore')
    await ready(page, 'explore')
    const find = async (line: string, expected: string[]) => {
      await page.fill('input[type=search]', line)
      await page.keyboard.press('Enter')
      // The list of before may stand there for a moment.
      await expect.poll(() => messages(page), { message: line }).toEqual(expected)
    }
    await find('GRIPPER', ['gripper is fine', 'gripper lost the plate', 'gripper is warm'])
    await find('gripper level>=error', ['gripper lost the plate'])
    await find('node:"arm one"', ['gripper lost the plate', 'gripper is warm'])
    await find('gripper -type:log_error', ['gripper is fine', 'gripper is warm'])
    await find('{"event_data.node_name": "arm two"}', ['gripper is fine'])
    expect(new URL(page.url()).searchParams.get('q')).toBe('{"event_data.node_name": "arm two"}')
    await page.goBack()
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(2)
    expect(await page.inputValue('input[type=search]')).toBe('gripper -type:log_error')
    const complain = async (line: string, complaint: string) => {
      await page.fill('input[type=search]', line)
      await page.keyboard.press('Enter')
      // The complaint about the line of before may stand there for a moment.
      await expect.poll(() => page.textContent('[role=alert]'), { message: line }).toContain(complaint)
    }
    await complain('level>=loud', 'level is one of')
    await complain('{"a":', 'no JSON')
    await complain('gripper nod:arm', "Column 9: 'nod' is no field")
    const selection =
      '[...document.querySelectorAll("input[type=search]")].map((one) => [one.selectionStart, one.selectionEnd])'
    await expect.poll(() => page.evaluate(selection)).toEqual([[8, 11]])
    expect(troubles).toEqual([])
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.goto(`${receiver.url}explore?q=gripper`).then(() => page.click('.bar a:text-is("JSON")')),
    ])
    expect(download.suggestedFilename()).toMatch(/^events_gripper_from-[\dTZ.-]+_UTC\.json$/)
    const exported = JSON.parse(readFileSync((await download.path())!, 'utf8')) as object
    expect(Object.keys(exported)).toHaveLength(3)
    const [table] = await Promise.all([page.waitForEvent('download'), page.click('.bar a:has-text("CSV")')])
    expect(table.suggestedFilename()).toMatch(/^events_gripper_from-[\dTZ.-]+_UTC\.csv$/)
    expect(
      readFileSync((await table.path())!, 'utf8')
        .trim()
        .split('\r\n'),
    ).toHaveLength(4)
    await page.close()
  })

  it('explore: says what the shown events are of, narrows by it, and leaves it out with Alt', async () => {
    const { page, troubles } = await house.open('explore?q=gripper')
    await ready(page, 'explore')
    const facet = (name: string) => page.locator(`.facets section[aria-label=${name}] li`).allTextContents()
    await expect.poll(() => facet('Node')).toEqual(['arm one 2', 'arm two 1'])
    expect(await facet('Level')).toHaveLength(3)
    await page.click('.facets a:has-text("arm one")')
    await page.waitForURL((url) => url.searchParams.get('q') === 'gripper node:"arm one"')
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(2)
    await page.goBack()
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(3)
    // A second click takes it back.
    await page.click('.facets a:has-text("arm one")')
    await page.waitForURL((url) => url.searchParams.get('q') === 'gripper node:"arm one"')
    await page.click('.facets a.chosen:has-text("arm one")')
    await page.waitForURL((url) => url.searchParams.get('q') === 'gripper')
    await page.click('.facets a:has-text("arm one")', { modifiers: ['Alt'] })
    await page.waitForURL((url) => url.searchParams.get('q') === 'gripper -node:"arm one"')
    await expect.poll(() => messages(page)).toEqual(['gripper is fine'])
    expect(troubles).toEqual([])
    await page.close()
  })

  it('explore: a histogram over all events of the search, which a drag, a click and the keyboard narrow, and Back widens', async () => {
    const at = (minute: number) => `2024-05-01T12:${String(minute).padStart(2, '0')}:00.000000Z`
    const bodies = Array.from({ length: 30 }, (_, i) => ({
      event_timestamp: at(i),
      log_level: i === 29 ? 40 : 20,
      event_data: { message: 'centrifuge', node_name: i < 20 ? 'spin one' : 'spin two' },
    }))
    for (const body of bodies) {
      const answer = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ event_type: 'log_info', source: {}, ...body }),
      })
      expect(answer.status).toBe(200)
    }
    const { page, troubles } = await house.open('explore?span=all&q=centrifuge')
    const canvas = page.locator('.histogram canvas')
    const status = () => page.textContent('.bar [role=status]')
    await canvas.waitFor()
    await expect.poll(status).toBe('30 events')
    const painted = `(() => {
      const canvas = document.querySelector('.histogram canvas')
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height - 2)
      return data.some((value) => value > 0)
    })()`
    await expect.poll(() => page.evaluate(painted)).toBe(true)
    const box = (await canvas.boundingBox())!
    const drag = async (from: number, to: number) => {
      await page.mouse.move(box.x + box.width * from, box.y + 30)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * to, box.y + 30)
      await page.mouse.up()
    }
    await drag(0.9999, 0.7)
    await page.waitForURL(
      (url) => url.searchParams.get('end')?.startsWith('2024-05-01T12:29:14.999999') === true,
    )
    await expect.poll(status).toBe('9 events')
    expect(await page.locator('.facets section[aria-label=Node] li').allTextContents()).toEqual([
      'spin two 9',
    ])
    await page.goBack()
    await expect.poll(status).toBe('30 events')
    await page.mouse.move(0, 0)
    await expect.poll(() => canvas.getAttribute('aria-valuetext')).toBe('30 events')
    await canvas.focus()
    await page.keyboard.press('End')
    expect(await canvas.getAttribute('aria-valuetext')).toContain('1 error')
    await page.keyboard.press('Shift+ArrowLeft')
    await page.keyboard.press('Enter')
    await expect.poll(status).toBe('1 event')
    await page.click('.search button:has-text("✕")')
    await expect.poll(status).toBe('30 events')
    // It fails alone.
    await page.route('**/events/summary*', (route) => route.fulfill({ status: 200, body: '{' }))
    await page.fill('input[type=search]', 'centrifuge -node:"spin one"')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(10)
    await page.waitForSelector('.facets:has-text("Not counted again")')
    expect(troubles).toEqual([])
    await page.close()
  })

  it('explore: two events of one moment of an action are one row, until somebody wants both', async () => {
    const action_id = createEventId()
    const time = '2026-03-05T12:00:00.000001Z'
    const data = { action_id, status: 'running', message: 'centipede' }
    await house.send('action_start', data, {}, 20, time)
    await house.send('action_status_change', data, {}, 20, time)
    await house.send('action_status_change', { ...data, status: 'paused' }, {}, 20, time)
    const { page, troubles } = await house.open('explore?span=all&q=centipede')
    await ready(page, 'explore')
    expect(await page.locator('.events tbody tr').count()).toBe(2)
    await page.click('label:has-text("1 folded")')
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(3)
    expect(new URL(page.url()).searchParams.get('rows')).toBe('all')
    await page.click('label:has-text("1 folded")')
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(2)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('explore: by keyboard through events, with the whole of each beside the list', async () => {
    const { page, troubles } = await house.open('explore?q=gripper')
    await ready(page, 'explore')
    await page.keyboard.press('j')
    await page.waitForSelector('aside pre')
    const first = new URL(page.url()).searchParams.get('id')
    await page.keyboard.press('j')
    await page.waitForURL((url) => url.searchParams.get('id') !== first)
    await page.keyboard.press('k')
    await page.waitForURL((url) => url.searchParams.get('id') === first)
    expect(await page.textContent('aside pre')).toContain(first!)
    await page.click('aside a:has-text("same node")')
    await page.waitForURL((url) => url.searchParams.get('q')?.startsWith('node:') === true)
    await page.keyboard.press('Escape')
    expect(troubles).toEqual([])
    // One that the list does not reach.
    await page.goto(`${receiver.url}explore?q=gripper&id=${eventId}`)
    await page.waitForSelector(`aside pre:has-text("${eventId}")`)
    await page.close()
  })

  it('? lists the keys of a page, and hides them; in a field it is a letter', async () => {
    const { page, troubles } = await house.open('explore?q=gripper')
    await ready(page, 'explore')
    const listed = () => page.locator('dialog[open] dt').allTextContents()
    await page.keyboard.press('?')
    await expect.poll(listed).toContain('j k ↓ ↑')
    await page.keyboard.press('?')
    await expect.poll(listed).toEqual([])
    await page.click('button[title="Keys (?)"]')
    await expect.poll(listed).toContain('?')
    await page.keyboard.press('Escape')
    await expect.poll(listed).toEqual([])
    await page.focus('input[type=search]')
    await page.keyboard.press('End')
    await page.keyboard.type('?')
    expect(await page.inputValue('input[type=search]')).toBe('gripper?')
    expect(await listed()).toEqual([])
    expect(troubles).toEqual([])
    await page.close()
  })

  it('shows what was before and after an event, by time and of the same node, and goes along it', async () => {
    const node_id = createEventId()
    const ids: string[] = []
    for (const message of ['first', 'second', 'third']) {
      ids.push(await house.send('log_info', { message: `neighbour ${message}` }, { node_id }))
      await house.send('log_info', { message: 'another' }, {})
    }
    const { page, troubles } = await house.open(`e/${ids[1]}`)
    const rows = page.locator('.neighbours li')
    await expect.poll(() => rows.count()).toBeGreaterThan(6)
    expect(await page.locator('.neighbours button').allTextContents()).toEqual(['time', 'node'])
    await page.click('.neighbours button:has-text("node")')
    await expect.poll(() => rows.count()).toBe(3)
    await page.click('.neighbours a:has-text("third")')
    await page.waitForSelector('h1:has-text("neighbour third")')
    await expect.poll(() => page.textContent('.neighbours .selected')).toContain('third')
    await page.goBack()
    await page.waitForSelector('h1:has-text("neighbour second")')
    // Beside the list, which stays.
    await page.goto(`${receiver.url}explore?q=neighbour&id=${ids[0]}`)
    await page.click('aside .neighbours summary')
    await page.waitForSelector('aside .neighbours a:has-text("another")')
    await page.click('aside .neighbours a:has-text("second")')
    await page.waitForURL((url) => url.searchParams.get('id') === ids[1])
    expect(await page.locator('.events tbody tr').count()).toBe(3)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('calls things by name where an event has their id alone, on its page, in the list and beside it', async () => {
    const [node_id, workflow_id, user_id] = [createEventId(), createEventId(), createEventId()]
    await house.send('node_start', { node_name: 'balance' }, { node_id })
    await house.send('workflow_start', { name: 'weigh all' }, { workflow_id })
    const id = await house.send('log_info', { message: 'pan is empty' }, { node_id, workflow_id, user_id })
    const { page, troubles } = await house.open(`e/${id}`)
    const values = () => page.locator('dl dd').allTextContents()
    await expect.poll(values, { timeout: 20_000 }).toContain(`balance …${node_id.slice(-6)}`)
    expect(await values()).toContain(`weigh all …${workflow_id.slice(-6)}`)
    // Nobody told it a name.
    expect((await values()).map((text) => text.trim())).toContain(`…${user_id.slice(-6)}`)
    await page.waitForSelector('.neighbours .selected:has-text("balance: pan is empty")')
    expect(await page.getAttribute('dd a:has-text("weigh all")', 'href')).toBe(`/run/workflow/${workflow_id}`)
    await page.click('dd a:has-text("balance")')
    await page.waitForSelector('.events td:has-text("pan is empty")')
    await expect
      .poll(() => page.locator('.events td:nth-child(3)').allTextContents(), { timeout: 20_000 })
      .toEqual(['balance', 'balance'])
    expect(troubles).toEqual([])
    await page.close()
  })

  it('tells the name of one that spoke once beside one that speaks often', async () => {
    const [quiet, often] = [createEventId(), createEventId()]
    await house.send('node_start', { node_name: 'quiet' }, { node_id: quiet })
    for (let sent = 0; sent < 210; sent += 30)
      await Promise.all(
        Array.from({ length: 30 }, () => house.send('log_info', { node_name: 'often' }, { node_id: often })),
      )
    const names = async () =>
      (await fetch(`${receiver.url}data/names?node=${often}&node=${quiet}&node=x&mood=y`)).json()
    await expect.poll(names).toEqual({ names: { node: { [quiet]: 'quiet', [often]: 'often' } } })
  })

  it('each value of an event leads to those that have it; the whole of it is copied beside the list', async () => {
    const count = 9007199254740993n
    await house.send('log_info', { message: 'shaker', rack: { count, 'a.b': 1 } }, {})
    const id = await house.send('log_info', { message: 'shaker', rack: { count, lids: ['"x" {', 7] } }, {})
    await house.send('log_info', { message: 'shaker', rack: { count: 9007199254740992n } }, {})
    const { page, troubles } = await house.open(`explore?q=shaker&id=${id}`)
    const rows = () => page.locator('.events tbody tr').count()
    await expect.poll(rows, { timeout: 20_000 }).toBe(3)
    await page.click(`pre a:text-is("${count}")`)
    await expect.poll(rows, { timeout: 20_000 }).toBe(2)
    expect(new URL(page.url()).searchParams.get('q')).toBe(`shaker {"event_data.rack.count": ${count}}`)
    // The event stays beside the list.
    await page.click('pre a:has-text("x")')
    await expect.poll(rows, { timeout: 20_000 }).toBe(1)
    await page.click('aside button:has-text("Copy JSON")')
    await page.waitForSelector('aside button:has-text("copied")')
    expect(troubles).toEqual([])
    await page.close()
  })

  it('says what one may do where nothing is found, and where no node has spoken', async () => {
    const time = '2024-03-05T12:00:00.000001Z'
    await house.send('log_info', { message: 'colorimeter' }, {}, 20, time)
    const { page, troubles } = await house.open('explore?q=colorimeter')
    await page.waitForSelector('.histogram:has-text("No event to count")')
    await page.click('.note a:has-text("Look in all time")')
    await page.waitForSelector('.events td:has-text("colorimeter")')
    await page.waitForSelector('.histogram canvas')
    await expect.poll(() => page.locator('.note:has-text("No event")').count()).toBe(0)
    const empty = {
      ...((await (await fetch(`${receiver.url}data/lab`)).json()) as object),
      ...{ nodes: [], workflows: [], report_error: null },
    }
    await page.route('**/data/lab', (route) => route.fulfill({ json: empty }))
    await page.goto(receiver.url)
    await page.waitForSelector(`section p:has-text("${receiver.url}v1/logs")`)
    expect(troubles).toEqual([])
    await page.close()
  })

  it('explore: long messages have one line each where somebody wants it so', async () => {
    await house.send('log_info', { message: 'autoclave '.repeat(100) }, {})
    for (const width of [380, 1000]) {
      const { page, troubles } = await house.open('explore?q=autoclave', { width })
      await ready(page, 'explore')
      const height = async () => (await page.locator('.events td:last-child').boundingBox())!.height
      expect(await height()).toBeGreaterThan(100)
      await page.click('label:has-text("whole messages")')
      await expect.poll(height, { timeout: 20_000 }).toBeLessThan(50)
      expect(new URL(page.url()).searchParams.get('wrap')).toBe('no')
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
      expect(troubles).toEqual([])
      await page.close()
    }
  })

  it('explore: says what it still looks up, and shows the rest when it is found', async () => {
    const node_id = createEventId()
    await house.send('node_start', { node_name: 'dryer', message: 'decanter named' }, { node_id })
    await house.send('log_info', { message: 'decanter by id' }, { node_id })
    const { page } = await house.open('')
    // As a receiver with much to do: the first look-ups do not come to an end.
    let isBusy = true
    await page.route('**/data/search?*', async (route) => {
      const late = { json: { problem: null, late_names: ['dryer'] } }
      await (isBusy ? route.fulfill(late) : route.continue())
    })
    await page.route('**/events?*', (route) => (isBusy ? route.fulfill({ json: {} }) : route.continue()))
    await page.goto(`${receiver.url}explore?q=decanter+node:dryer`)
    await page.waitForSelector('[role=status]:has-text("Still looking up what dryer is")')
    isBusy = false
    await expect.poll(() => messages(page), { timeout: 20_000 }).toEqual(['decanter by id', 'decanter named'])
    await expect.poll(() => page.textContent('main')).not.toContain('Still looking up')
    await page.close()
  })

  it('on a telephone a time beside an event has one line, and a message is a text', async () => {
    const node_id = createEventId()
    const said = { node_name: longName, message: 'no tip at A7 after three attempts' }
    const id = await house.send('log_error', said, { node_id }, 40)
    const { page } = await house.open(`e/${id}`, { width: 380 })
    await page.waitForSelector('.neighbours .selected')
    const boxOf = async (selector: string) =>
      (await page.locator(`.neighbours .selected ${selector}`).boundingBox())!
    expect((await boxOf('.since')).height).toBeLessThan(30)
    const [name, message] = [await boxOf('bdi >> nth=0'), await boxOf('bdi >> nth=1')]
    // Behind the name, on its last line or below, and not in a column beside it.
    expect(message.y).toBeGreaterThan(name.y)
    await page.close()
  })

  it('on a telephone the words of the pages take one row, and that of the page is seen', async () => {
    const { page } = await house.open('', { width: 380 })
    await ready(page, 'lab')
    expect((await page.locator('header').boundingBox())!.height).toBeLessThan(110)
    await page.click('nav a:has-text("Operation")')
    await page.waitForSelector('.lines')
    const box = (await page.locator('nav a:has-text("Operation")').boundingBox())!
    expect(box.x).toBeGreaterThanOrEqual(0)
    expect(box.x + box.width).toBeLessThanOrEqual(380)
    await page.close()
  })

  it('explore: a histogram that fails takes nothing else with it, and comes back', async () => {
    for (const type of ['log_info', 'log_info', 'log_error'])
      await house.send(type, { message: 'evaporator' }, {})
    const { page } = await house.open('explore?q=evaporator')
    await ready(page, 'explore')
    await page.waitForSelector('.histogram canvas')
    await page.route('**/events/summary?*', (route) =>
      route.fulfill({ status: 503, body: '{"detail":"too busy"}' }),
    )
    const search = async (line: string) => {
      await page.fill('input[type=search]', line)
      await page.keyboard.press('Enter')
    }
    await search('evaporator -type:log_error')
    await page.waitForSelector('.histogram:has-text("too busy")')
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(2)
    await page.unroute('**/events/summary?*')
    await search('evaporator')
    await expect.poll(() => page.locator('.histogram').textContent()).not.toContain('too busy')
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(3)
    await page.close()
  })

  it('explore: Back leads to the place in the list from which one left', async () => {
    for (let number = 0; number < 60; number++)
      await house.send('log_info', { message: `vortex ${number}` }, {})
    const { page, troubles } = await house.open('explore?q=vortex')
    await expect.poll(() => page.locator('.events tbody tr').count()).toBe(60)
    await page.evaluate('scrollTo(0, 900)')
    const place = () => page.evaluate('Math.round(scrollY)')
    await page.click('.events a:has-text("vortex 20")')
    await page.waitForSelector('aside pre')
    // What stands beside an event comes one after the other, and moves the list.
    let before = await place()
    for (let same = 0; same < 10; ) {
      await page.waitForTimeout(100)
      const now = await place()
      same = now === before ? same + 1 : 0
      before = now
    }
    expect(before).toBeGreaterThan(500)
    await page.click('aside a:text-is("Own page")')
    await page.waitForURL(/\/e\//)
    expect(await place()).toBe(0)
    await page.goBack()
    await expect.poll(place).toBe(before)
    expect(troubles).toEqual([])
    await page.close()
  })

  it.each([380, 1000, 1200, 1920])(
    'explore: beside an event at %i pixels, messages have room',
    async (width) => {
      const id = await house.send('log_info', { message: 'thermocycler '.repeat(12) }, {})
      const { page, troubles } = await house.open(`explore?q=thermocycler&id=${id}`, { width })
      await page.waitForSelector('aside pre')
      const cell = await page.locator('.events td:last-child').first().boundingBox()
      expect(cell!.width).toBeGreaterThan(240)
      expect(troubles).toEqual([])
      await page.close()
    },
  )

  it('explore: live, it shows what comes; while somebody reads, it counts what came', async () => {
    const { page, troubles } = await house.open('explore?q=pipette')
    await page.waitForSelector('.bar [role=status]')
    await page.check('.bar input[type=checkbox]')
    await page.waitForTimeout(500)
    await house.send('log_info', { message: 'pipette up' }, {})
    await page.waitForSelector('.events td:has-text("pipette up")')
    await page.evaluate('document.activeElement.blur()')
    await page.keyboard.press(' ')
    await page.waitForSelector('button:has-text("paused · 0 new")')
    await house.send('log_info', { message: 'pipette down' }, {})
    await page.waitForSelector('button:has-text("paused · 1 new")')
    expect(await messages(page)).toEqual(['pipette up'])
    await page.click('button:has-text("paused")')
    expect(await messages(page)).toEqual(['pipette down', 'pipette up'])
    expect(troubles).toEqual([])
    await page.close()
  })

  it('explore: live, it holds a connection only while it is seen, and misses nothing', async () => {
    const { page, troubles } = await house.open('explore?q=centrifuge')
    await page.waitForSelector('.bar [role=status]')
    const streams = async () =>
      /^madsci_streams_open (\d+)$/m.exec(await (await fetch(`${house.receiver.url}metrics`)).text())?.[1]
    const show = (hidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} })
        document.dispatchEvent(new Event('visibilitychange'))`)
    const before = Number(await streams())
    await page.check('.bar input[type=checkbox]')
    await expect.poll(streams, { timeout: 10_000 }).toBe(String(before + 1))
    await page.evaluate('document.activeElement.blur()')
    await show(true)
    await expect.poll(streams, { timeout: 10_000 }).toBe(String(before))
    for (const message of ['centrifuge up', 'centrifuge down']) await house.send('log_info', { message }, {})
    await show(false)
    await page.waitForSelector('.events td:has-text("centrifuge down")', { timeout: 10_000 })
    expect(await messages(page)).toEqual(['centrifuge down', 'centrifuge up'])
    expect(troubles).toEqual([])
    await page.close()
  })

  it('says since when the receiver does not answer, and keeps what it saw', async () => {
    const { page } = await house.open('')
    await ready(page, 'lab')
    await page.context().setOffline(true)
    await page.waitForSelector('.contact.lost:has-text("not connected for")', { timeout: 20_000 })
    expect(await page.locator('.tile').count()).toBeGreaterThan(2)
    await page.waitForSelector('.stale')
    await page.context().setOffline(false)
    await page.waitForSelector('.contact.fine', { timeout: 20_000 })
    await page.close()
  })
})
