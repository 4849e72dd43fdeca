import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { commands } from '../../../receiver/src/cli/table.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const node = '01JJ4S0WNGEF5FQAZG5KDGJRBV'
const otherNode = '01JJ4S0WNGEF5FQAZG5KDGJRBW'
const action = { action_id: 'a1', action: 'transfer_plate' }
const id = (number: number) => `01JJ4S0WNGEF5FQAZG5KDGJ${String(number).padStart(3, '0')}`
const events = [
  {
    event_type: 'node_start',
    source: { node_id: node },
    event_data: { node_name: 'arm', message: 'Node started' },
  },
  {
    event_type: 'workflow_start',
    event_data: { name: 'assay 1', message: 'assay 1 started', workflow_id: '01JJ4S0WNGEF5FQAZG5KDGJRBX' },
  },
  {
    event_type: 'action_start',
    source: { node_id: node },
    event_data: { ...action, status: 'running', message: 'transfer_plate started' },
  },
  {
    event_type: 'action_status_change',
    source: { node_id: node },
    event_data: { ...action, status: 'running', message: 'transfer_plate started' },
  },
  {
    event_type: 'action_failed',
    log_level: 40,
    source: { node_id: node, workflow_id: '01JJ4S0WNGEF5FQAZG5KDGJRBX' },
    event_data: {
      ...action,
      status: 'failed',
      message: 'transfer_plate failed: no tip',
      duration_seconds: 0.06,
    },
  },
  {
    event_type: 'log_warning',
    log_level: 30,
    source: { node_id: otherNode },
    event_data: {
      component_name: 'reader',
      message:
        'The node is busy, and has been for such a long time that this line does not fit eighty columns',
    },
  },
  { event_type: 'log_info', event_data: 'words \u001b[31mof others' },
  {
    event_type: 'log_info',
    event_data: {
      message: 'stored',
      event_type: 'workflow_complete',
      workflow_duration: 3725,
      component_name: 'Workcell',
    },
  },
]
// An action's start and its change of status are of one instant.
const seconds = [0, 1, 2, 2, 3, 4, 5, 6]

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
const zone = process.env.TZ
beforeAll(async () => {
  process.env.TZ = 'America/Chicago'
  receiver = await startTestReceiver()
  for (const [index, event] of events.entries()) {
    const answer = await fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        event_id: id(index),
        event_timestamp: `2026-11-23T05:38:0${seconds[index]}Z`,
        source: {},
        ...event,
      }),
    })
    expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)])
  }
})
afterAll(async () => {
  if (zone === undefined) delete process.env.TZ
  else process.env.TZ = zone
  await receiver.close()
})

async function run(args: string[], columns?: number, environment = {}) {
  let [stdout, stderr] = ['', '']
  const stream = (write: (text: string) => void) => ({
    write,
    ...(columns !== undefined && { isTTY: true, columns }),
  })
  const code = await runCommand([...args, `--server_url=${receiver.url}`], {
    environment,
    workingDirectory: '/',
    stdout: stream((text) => {
      stdout += text
    }),
    stderr: {
      write: (text: string) => {
        stderr += text
      },
    },
    stopping: new AbortController().signal,
  })
  return { code, stdout, stderr }
}
const messages = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(['query', ...args, '--json'])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return Object.keys(JSON.parse(stdout)).map((one) => Number(one.slice(-3)))
}

describe('query for people', () => {
  for (const columns of [80, 160])
    it(`looks at ${columns} columns as the file says that somebody looked at`, async () => {
      const file = join(import.meta.dirname, `terminal/query-${columns}.txt`)
      const { stdout } = await run(['query'], columns, { NO_COLOR: '1' })
      if (process.env.UPDATE_TERMINAL === '1') await writeFile(file, stdout)
      expect(stdout).toBe(await readFile(file, 'utf8'))
      for (const line of stdout.split('\n')) expect([...line].length).toBeLessThanOrEqual(columns)
    })

  it('paints levels on a terminal, obeys NO_COLOR, and lets no event paint', async () => {
    expect((await run(['query', '--level=error'], 80)).stdout).toSatisfy(
      (text: string) => text.startsWith('\u001b[31m') && text.endsWith('\u001b[0m\n'),
    )
    expect((await run(['query'], 80, { NO_COLOR: '1' })).stdout).not.toContain('\u001b')
    expect((await run(['query'])).stdout).not.toContain('\u001b')
  })

  it('honours every option, with a selector and without', async () => {
    for (const selector of [[], ['{"event_type": {"$exists": true}}']]) {
      expect(await messages(...selector, '--number=1')).toEqual([7])
      expect(await messages(...selector, '--level=error')).toEqual([4])
      expect(await messages(...selector, '--start_time=2026-11-23T05:38:05Z')).toEqual([7, 6])
      expect(await messages(...selector, '--since=2026-11-23T05:38:05Z', '--number=1')).toEqual([7])
      expect(await messages(...selector, '--end_time=2026-11-23T05:38:01Z')).toEqual([1, 0])
      expect((await messages(...selector, '--node=arm')).sort()).toEqual([0, 2, 3, 4])
      expect(await messages(...selector, '--node=reader')).toEqual([5])
      expect(await messages(...selector, `--node=${otherNode}`)).toEqual([5])
      expect(await messages(...selector, '--type=workflow_complete,workflow_start')).toEqual([7, 1])
      expect(await messages(...selector, '--workflow=01JJ4S0WNGEF5FQAZG5KDGJRBX')).toEqual([4, 1])
      expect(await messages(...selector, '--workflow=assay 1')).toEqual([4, 1])
      expect(await messages(...selector, '--service=Workcell')).toEqual([7])
      expect(await messages(...selector, '--text=NO TIP')).toEqual([4])
      expect(await messages(...selector, '--text=[31mof')).toEqual([6])
    }
    expect(await messages('--since=1m')).toEqual([])
    expect(await messages('--q=node:arm level>=error')).toEqual([4])
    expect(await messages('--q=transfer_plate -started', '--node=arm')).toEqual([4])
  })

  it('says with a sentence what cannot be meant, and that nothing matches', async () => {
    const said = async (...args: string[]) => {
      const { code, stdout, stderr } = await run(['query', ...args])
      expect([code, stdout]).toEqual([stderr.startsWith('EVT_REFUSED') ? 1 : 2, ''])
      expect(stderr).not.toContain('{"detail"')
      return stderr
    }
    expect(await said('--start_time=soon')).toContain("--start_time is no time: 'soon'; say 10m, 2h")
    expect(await said('--level=loud')).toContain('--level must be debug, info')
    expect(await said('--number=-1')).toContain('--number must be a whole number')
    expect(await said('--type=nope')).toContain("'nope' is no event type")
    expect(await said('no tip')).toContain('--text=')
    expect(await said('--q=tip nod:arm')).toContain("--q, column 5: 'nod' is no field")
    expect(await said('--since=1h', '--start_time=1h')).toContain('give one of them')
    expect(await said('{"$where": "1"}')).toMatch(/\$where/)
    expect(await run(['query', '--text=nothing at all'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no event matches\n',
    })
    for (const time of ['-10m', '10m', '2h', '3d', 'now', 'today', 'yesterday', '09:30', '2026-11-23'])
      expect((await run(['query', `--start_time=${time}`])).code, time).toBe(0)
  })

  it('says that there may be more than it shows', async () => {
    const all = await run(['query', '--number=0'])
    expect(all.stderr).toBe('')
    const newest = await run(['query', '--number=2'])
    expect(newest.stderr).toBe('these are the 2 newest events; --number=0 shows all\n')
    expect(all.stdout.startsWith(newest.stdout)).toBe(true)
  })

  it('help fits 80 columns', async () => {
    const pages = [['--help'], ['help', 'settings'], ...Object.keys(commands).map((name) => [name, '--help'])]
    for (const page of pages) {
      const { stdout } = await run(page)
      for (const line of stdout.split('\n'))
        if (line.trim().includes(' ')) expect([...line].length, line).toBeLessThanOrEqual(80)
    }
    expect((await run(['--help'])).stdout.split('\n').length).toBeLessThan(70)
  })
})
