import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodeFlags } from '../../receiver/bin/node-flags.js'
import { commands } from '../../receiver/src/cli/table.ts'
import { ownEnv, type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { prepareStore } from '../support/store-flag.ts'

/*
 * Time is bounded by size, whatever somebody sends, to any door. Texts are made of a part that is repeated and an end that does
 * not fit it, which is what makes a regular expression go back; the part comes out of fast-check, with a fixed seed.
 */

const KiB = 2 ** 10
const MiB = 2 ** 20
const most = 2.5
const doublings = 4

interface Text {
  part: string
  end: string
}

const pieces = [
  'a',
  'A',
  '0',
  ' ',
  '\t',
  '\n',
  '"',
  "'",
  '\\',
  '/',
  '{',
  '}',
  '[',
  '(',
  ')',
  '<',
  '>',
  '$',
  '${',
  '=',
  'k=',
  ':',
  ',',
  '.',
  '-',
  '_',
  '+',
  '*',
  '%',
  '&',
  ';',
  '|',
  'T',
  'Z',
  '1e',
  'é',
  '\u2028',
  '\x1b[',
  'http://',
  '2026-01-01',
]
const texts: Text[] = fc.sample(
  fc.record({
    part: fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 3 }).map((list) => list.join('')),
    end: fc.constantFrom('', '!', '\0', '"', 'x=', '}'),
  }),
  { seed: 20_261_127, numRuns: 40 },
)
texts.push(
  ...pieces.map((part) => ({ part, end: '!' })),
  // Patterns that make a backtracking engine count for ever, as a selector's pattern and as what it is held against.
  { part: '(a+)+', end: '$' },
  { part: '(a|a)*', end: 'b' },
  { part: '(?=a)', end: '' },
)

const textOf = ({ part, end }: Text, size: number) =>
  part.repeat(Math.max(1, Math.floor(size / part.length))) + end

/** Processor time of a process and all its threads, ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** What does not grow as it must, with its times. Looks closer only where the cost of the largest size leaves it open. */
async function findGrowth(
  run: (size: number) => Promise<number>,
  largest: number,
  // The smallest size counts as so much at least: a tick of the system's clock of processor time is 10 ms.
  floorMs = 40,
): Promise<string | undefined> {
  if ((await run(largest)) <= floorMs * most ** doublings) return undefined
  const smallest = largest / 2 ** doublings
  // The quickest of three: others share the machine.
  const best = async (size: number) => Math.min(await run(size), await run(size), await run(size))
  const [small, large] = [await best(smallest), await best(largest)]
  if (large <= Math.max(small, floorMs) * most ** doublings) return undefined
  return `${small} ms for ${smallest} bytes, ${large} ms for ${largest}`
}

type Dress = (text: string, name: string) => string
const dresses: { [name: string]: Dress } = {
  'as it is': (text) => text,
  'as a value': (text, name) => JSON.stringify({ [name]: text }),
  'as a name': (text) => JSON.stringify({ [text]: 1 }),
  'as many values': (text, name) => JSON.stringify({ [name]: text.match(/.{1,40}/gsu) ?? [] }),
  'as a pattern': (text, name) => JSON.stringify({ [name]: { $regex: text.slice(0, 1000) } }),
}

/** Routes with a body, the fields whose values they read, and the largest body that is worth the time here. */
const bodies: { [route: string]: { names: string[]; largest: number; dressUp?: (text: string) => string } } =
  {
    'POST /event': {
      names: ['event_data', 'event_type', 'event_timestamp', 'event_id', 'log_level', 'source'],
      largest: 2 * MiB,
    },
    'POST /events/query': { names: ['event_type', 'event_data.message', '$or'], largest: 2 * MiB },
    'POST /events/export': { names: ['event_type', 'event_data.message', '$or'], largest: 2 * MiB },
    'POST /events/archive': { names: ['event_ids', 'before_date', 'batch_size'], largest: 2 * MiB },
    'POST /events/receipts': { names: ['event_ids'], largest: 2 * MiB },
    'POST /backup': { names: ['description'], largest: 2 * MiB },
    'POST /alerts/{alert_id}/acknowledge': { names: ['by'], largest: 2 * MiB },
    'POST /alerts/{alert_id}/silence': { names: ['by', 'minutes'], largest: 2 * MiB },
    'POST /alerts/{alert_id}/resolve': { names: ['by'], largest: 2 * MiB },
    'POST /alerts/test': { names: ['channel', 'rule'], largest: 2 * MiB },
    'POST /alerts/preview': {
      names: ['rule', 'selector', 'start_time'],
      largest: 2 * MiB,
      dressUp: (text) =>
        JSON.stringify({ rule: { name: 'x', selector: { event_type: { $regex: text.slice(0, 1000) } } } }),
    },
    'POST /v1/logs': {
      names: ['resourceLogs'],
      largest: 2 * MiB,
      dressUp: (text) =>
        JSON.stringify({
          resourceLogs: [
            {
              resource: { attributes: [{ key: text.slice(0, 65_536), value: { stringValue: text } }] },
              scopeLogs: [
                {
                  logRecords: [
                    {
                      body: { stringValue: text },
                      attributes: [
                        { key: 'madsci.event.type', value: { stringValue: text } },
                        { key: 'log.record.uid', value: { stringValue: text } },
                      ],
                    },
                  ],
                },
              ],
            },
          ],
        }),
    },
    'POST /v1/traces': { names: ['resourceSpans'], largest: 2 * MiB },
    'POST /v1/metrics': { names: ['resourceMetrics'], largest: 2 * MiB },
  }

for (const store of ['sqlite', 'mongodb'] as const) {
  describe(`processor time grows with the size and no faster, on ${store}`, () => {
    let receiver: ReceiverProcess
    let folder = ''
    let stop = async () => {}
    let skip: string | undefined
    // biome-ignore lint/suspicious/noExplicitAny: the description of the API, as it is
    let api: any
    beforeAll(async () => {
      const prepared = await prepareStore(store)
      if ('skip' in prepared) {
        skip = prepared.skip
        return
      }
      folder = await mkdtemp(join(tmpdir(), 'madsci-growth-'))
      receiver = await spawnReceiver({
        flags: {
          server_url: 'http://127.0.0.1:0/',
          rate_limit_enabled: 'false',
          alert_rules: '[{"name":"any","selector":{"event_data.message":{"$regex":"(x+x+)+y"}}}]',
          query_timeout_ms: '5000',
          ...prepared.flags,
        },
        cwd: folder,
      })
      stop = async () => {
        receiver.kill('SIGTERM')
        await receiver.exited
        await prepared.stop()
        await rm(folder, { recursive: true, force: true })
      }
      api = await (await fetch(new URL('openapi.json', receiver.url))).json()
    })
    afterAll(() => stop())

    async function costOf(requests: (() => Promise<Response>)[]): Promise<number> {
      const before = cpuMs(receiver.pid)
      for (const send of requests) await (await send()).arrayBuffer()
      return cpuMs(receiver.pid) - before
    }

    it('of the body of every route', { timeout: 1_200_000 }, async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const routes = Object.entries(api.paths).flatMap(([path, methods]) =>
        Object.keys(methods as object)
          .filter((method) => method === 'post')
          .map(() => `POST ${path}`),
      )
      expect(routes.sort()).toEqual(Object.keys(bodies).sort())
      const slow: string[] = []
      let turn = 0
      for (const [route, { names, largest, dressUp }] of Object.entries(bodies)) {
        const url = new URL(route.slice(6).replace('{alert_id}', '0'), receiver.url)
        const all: { [name: string]: Dress } = { ...dresses, ...(dressUp && { 'in its place': dressUp }) }
        for (const [i, text] of texts.entries())
          for (const [dress, put] of Object.entries(all)) {
            // Every door sees a sixth of the texts in each dress.
            if (turn++ % 6 !== i % 6) continue
            const run = (size: number) => {
              const body = put(textOf(text, size), names[i % names.length]!)
              return costOf([
                () => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body }),
              ])
            }
            const growth = await findGrowth(run, largest)
            if (growth !== undefined) slow.push(`${route} ${dress} ${JSON.stringify(text)}: ${growth}`)
          }
      }
      expect(slow).toEqual([])
      expect((await fetch(new URL('health/ready', receiver.url))).status).toBe(200)
    })

    it('of every parameter of every route', { timeout: 1_200_000 }, async (context) => {
      if (skip !== undefined) return context.skip(skip)
      const slow: string[] = []
      for (const [path, methods] of Object.entries<{ [method: string]: object }>(api.paths))
        for (const [method, { parameters = [] }] of Object.entries<{
          parameters?: { in: string; name: string }[]
        }>(methods))
          for (const { name, in: where } of parameters)
            for (const text of texts.filter((_, i) => i % 12 === name.length % 12)) {
              const run = (size: number) => {
                const value = encodeURIComponent(textOf(text, size)).slice(0, size).replace(/%.?$/, '')
                const url = new URL(
                  where === 'path'
                    ? path.replace(`{${name}}`, value.slice(0, 2000))
                    : `${path}?${name}=${value}`,
                  receiver.url,
                )
                const gone = () => AbortSignal.timeout(2000)
                return costOf(
                  Array.from({ length: 4 }, () => async () => {
                    const answer = await fetch(url, { method: method.toUpperCase(), signal: gone() })
                    // A stream has no end.
                    if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) return answer
                    await answer.body?.cancel()
                    return new Response()
                  }),
                )
              }
              const growth = await findGrowth(run, 8 * KiB)
              if (growth !== undefined)
                slow.push(`${method} ${path} ${name} ${JSON.stringify(text)}: ${growth}`)
            }
      expect(slow).toEqual([])
    })
  })
}

describe('processor time of commands grows with the size and no faster', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-growth-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const main = join(import.meta.dirname, '../../receiver/src/main.ts')
  const meter =
    'data:text/javascript,import{writeFileSync}from"node:fs";process.on("exit",()=>{const{user,system}=process.cpuUsage();writeFileSync(process.env.CPU_FILE,String((user+system)/1000))})'

  /** Processor time of a command, its threads included, whatever its exit code. */
  async function costOf(args: string[], idleMs: number): Promise<number> {
    const file = join(folder, 'cpu')
    await new Promise<void>((resolve) => {
      execFile(
        process.execPath,
        [...nodeFlags(24), '--conditions=madsci-events-source', '--import', meter, main, ...args],
        { cwd: folder, env: { ...ownEnv(), CPU_FILE: file }, timeout: 60_000, maxBuffer: 2 ** 28 },
        () => resolve(),
      )
    })
    return Math.max(0, Number(readFileSync(file, 'utf8')) - idleMs)
  }

  const log = (text: string) => `2026-11-24T13:46:09.460594Z [warning  ] ${text}`
  const id = '01M8ZZZZZZZZZZZZZZZZZZZZZZ'
  const files: { [name: string]: { name: string; put: (text: string) => string; args: string[] } } = {
    'import, any bytes': { name: 'in.log', put: (text) => text, args: ['import', 'in.log', '--text'] },
    'import, a line of text': { name: 'in.log', put: log, args: ['import', 'in.log', '--text'] },
    'import, a value of a line': {
      name: 'in.log',
      put: (text) => log(`x key='${text}`),
      args: ['import', 'in.log', '--text'],
    },
    'import, an event': {
      name: 'in.ndjson',
      put: (text) =>
        JSON.stringify({
          event_id: id,
          event_timestamp: '2026-11-24T13:46:09.460594Z',
          event_type: 'log_info',
          event_data: { message: text, [text.slice(0, 1000)]: text },
        }),
      args: ['import', 'in.ndjson', '--promote'],
    },
    'import, a time': {
      name: 'in.ndjson',
      put: (text) => JSON.stringify({ event_id: id, event_timestamp: text, event_type: text }),
      args: ['import', 'in.ndjson', '--zone=Europe/Berlin'],
    },
    'salvage, no database': { name: 'in.db', put: (text) => text, args: ['salvage', 'in.db', 'out.db'] },
    'export, no database': { name: 'in.db', put: (text) => text, args: ['export', '--from=sqlite:in.db'] },
    'config, a file of settings': {
      name: 'settings.yaml',
      put: (text) => `event_manager_name: ${text}`,
      args: ['config'],
    },
    'config, a file of variables': {
      name: '.env',
      put: (text) => `EVENT_MANAGER_NAME=${text}`,
      args: ['config'],
    },
  }
  const onlyNetwork = [
    'serve',
    'demo',
    'doctor',
    'query',
    'tail',
    'alerts',
    'utilization',
    'report',
    'backup',
  ]
  const otherwise = { restore: 'a folder, whose list and checksum are read first', spool: 'test/sdk/spool' }

  it('names every command', () => {
    const named = Object.keys(files).map((name) => name.split(',')[0]!)
    expect(Object.keys(commands).sort()).toEqual(
      [...new Set([...named, ...onlyNetwork, ...Object.keys(otherwise)])].sort(),
    )
  })

  it('for every format that is read from a file', { timeout: 1_200_000 }, async () => {
    const idleMs = await costOf(['config', '--json'], 0)
    const slow: string[] = []
    // A few for each: a command takes a second to start, not always the same one.
    for (const [k, [what, { name, put, args }]] of Object.entries(files).entries())
      for (const text of texts.filter((_, i) => i % 17 === k)) {
        const run = async (size: number) => {
          await writeFile(join(folder, name), put(textOf(text, size)), { mode: 0o600 })
          const cost = await costOf(args, idleMs)
          await rm(join(folder, name), { force: true })
          await rm(join(folder, 'out.db'), { force: true })
          return cost
        }
        const growth = await findGrowth(run, MiB, 400)
        if (growth !== undefined) slow.push(`${what} ${JSON.stringify(text)}: ${growth}`)
      }
    expect(slow).toEqual([])
  })
})
