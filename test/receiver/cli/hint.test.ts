import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { choices } from '../../../receiver/src/cli/utilization.ts'
import { kinds } from '../../../receiver/src/utilization/timeline/kind.ts'
import { groupings } from '../../../receiver/src/utilization/timeline/summary.ts'
import { buckets } from '../../../receiver/src/utilization/timeline/zone.ts'
import { runLine } from '../../support/command-run.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { waitUntil } from '../../support/wait.ts'

const [node_id, other_id, workflow_id] = [createEventId(), createEventId(), createEventId()]

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  receiver = await startTestReceiver()
  const say = (event_type: string, event_data: object, source: object) =>
    fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event_type, event_data, source }),
    })
  await say('node_start', { node_name: 'robot-arm' }, { node_id })
  await say('node_start', { node_name: 'incubator' }, { node_id: other_id })
  await say('workflow_start', { name: 'assay', message: 'begun' }, { workflow_id })
})
afterAll(() => receiver.close())

const run = (...args: string[]) =>
  runLine([...args, `--server_url=${receiver.url}`], { workingDirectory: receiver.folder })
const complaint = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args)
  expect([code, stdout], args.join(' ')).toEqual([2, ''])
  return stderr.split('\n')[0]!
}

it('a name that nothing has is told, with the names that there are', async () => {
  const nodes = /^no node is called 'robotarm'; there are: (robot-arm, incubator|incubator, robot-arm)$/m
  expect((await run('query', '--node=robotarm')).stderr).toMatch(nodes)
  expect((await run('query', '--q=node:robotarm')).stderr).toMatch(nodes)
  expect((await run('query', '--workflow=asay')).stderr).toContain(
    "no workflow is called 'asay'; there are: assay",
  )
  expect((await run('query', '--node=robot-arm', '--text=nothing')).stderr).toBe('no event matches\n')
  expect(await run('utilization', 'summary', '--node=robotarm')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/no node is called 'robotarm'; there are: /),
  })
  const byId = await run('utilization', 'summary', '--node_id=robotarm')
  expect(byId.stderr).toMatch(/no node is called 'robotarm'; there are: /)
  expect((await run('utilization', 'summary', '--node_id=robot-arm')).stderr).toContain(
    "'robot-arm' is a name and no id: --node takes names",
  )
  expect((await run('utilization', 'summary', `--node_id=${node_id}`)).stderr).toBe('')
})

it('tail says so too, and begins with what is stored since a time', async () => {
  const tail = async (args: string[], seen: (said: string) => boolean) => {
    let said = ''
    const write = (text: string) => {
      said += text
    }
    const stopping = new AbortController()
    const ended = runCommand(['tail', ...args, `--server_url=${receiver.url}`], {
      environment: {},
      workingDirectory: receiver.folder,
      stdout: { write },
      stderr: { write },
      stopping: stopping.signal,
    })
    await waitUntil(async () => seen(said), args.join(' '))
    stopping.abort()
    expect(await ended).toBe(0)
    return said
  }
  expect(await tail(['--node=robotarm'], (said) => said.includes('\n'))).toMatch(
    /no node is called 'robotarm'; there are: /,
  )
  const lines = (await tail(['--since=1h'], (said) => said.split('\n').length === 4)).trimEnd().split('\n')
  expect(lines[2]).toContain('begun')
})

it('reports of utilization take names and times in the words of query', async () => {
  const items = async (...args: string[]) => {
    const { stdout, stderr } = await run('utilization', 'summary', '--json', ...args)
    expect(stderr).toBe('')
    return JSON.parse(stdout).items.map(({ id }: { id: string }) => id)
  }
  expect(await items('--node=robot-arm')).toEqual([node_id])
  expect(await items(`--node=${other_id}`, '--since=1h', '--end_time=now')).toEqual([other_id])
  expect(await items('--start_time=today', '--node=incubator')).toEqual([other_id])
})

it('says with exit code 2, and without codes, what is wrong with a command line', async () => {
  expect(await complaint('query', '--level=eror')).toMatch(/^--level must be debug/)
  expect(await complaint('query', '--since=31.12.2026')).toMatch(/^--since is no time/)
  expect(await complaint('query', 'error')).toMatch(/--text=error$/)
  expect(await complaint('query', 'type:log_info')).toMatch(/--q='type:log_info'$/)
  expect(await complaint('query', '{event_type: node_error}')).toMatch(/'\{"event_type": "node_error"\}'$/)
  expect(await complaint('query', '--user=ada')).toMatch(/^--user is no option of .*: use --q=user:ada$/)
  expect(await complaint('query', '--experiment=a b')).toMatch(/: use '--q=experiment:"a b"'$/)
  expect(await complaint('query', '--lvl=error')).toMatch(/did you mean --level\?$/)
  expect(await complaint('utilization', '--nod=a')).toMatch(/did you mean --node\?$/)
  expect(await complaint('utilization', 'periods')).toBe(
    'periods needs --start_time=… and --end_time=…, like --start_time=2026-11-01 --end_time=now',
  )
  expect(await complaint('utilization', 'summary', '--by=nodes')).toMatch(/^--by must be one of node, /)
  expect(await complaint('utilization', 'summary', '--zone=Nowhere')).toMatch(/^--zone must be an IANA/)
  expect(await complaint('utilization', 'summary', '--start_time=soon')).toMatch(/^--start_time is no time/)
  expect(await complaint('alerts', 'preview', 'x', '--start_time=soon')).toMatch(/^--start_time is no time/)
  expect(await complaint('alerts', 'acknoledge', 'x')).toMatch(/did you mean acknowledge\?$/)
  expect(await complaint('alerts', 'test')).toBe('alerts test takes the name of a channel, like email')
  expect(await complaint('report', 'run')).toMatch(/^NAME-OR-ID is missing, as in madsci-events report run /)
  const json = await run('query', '--level=eror', '--json')
  expect([json.code, JSON.parse(json.stderr).error.code]).toEqual([2, 'EVT_CONFIG'])
})

it('alerts without a way to tell anybody say what to set', async () => {
  expect((await run('alerts')).stderr).toBe(
    'EVT_REFUSED: Nobody is told of errors yet: set email_alerts or alert_channels.\n',
  )
})

it('helps speak of options where there are some', async () => {
  expect((await run('serve', '--help')).stdout).not.toContain('--OPTION')
  expect((await run('query', '--help')).stdout).toContain('[--OPTION …]')
})

it('the words of reports are those that the receiver knows', () => {
  expect(choices).toMatchObject({ by: groupings, bucket: buckets, kind: kinds })
})
