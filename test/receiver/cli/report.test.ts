import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runLine } from '../../support/command-run.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { waitUntil } from '../../support/wait.ts'

const [one, two, night] = [createEventId(), createEventId(), createEventId()]

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  receiver = await startTestReceiver()
  const say = (event_type: string, event_data: object, source: object) =>
    fetch(`${receiver.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event_type, event_data, source }),
    })
  await say('experiment_start', { experiment_name: 'Night' }, { experiment_id: night })
  for (const workflow_id of [one, two])
    await say('workflow_start', { name: 'assay 7', status: 'running' }, { workflow_id, experiment_id: night })
  await waitUntil(async () => {
    const answer = await fetch(`${receiver.url}runs`, { headers: { accept: 'application/json' } })
    return ((await answer.json()) as { runs: unknown[] }).runs.length === 3
  }, 'three runs')
})
afterAll(() => receiver.close())

const run = (...args: string[]) =>
  runLine(['report', ...args, `--server_url=${receiver.url}`], { workingDirectory: receiver.folder })

it('takes an id of any text, also of a run that is not among the newest', async () => {
  const answer = await run('workflow', 'no such thing')
  expect(answer).toMatchObject({ code: 1, stdout: '' })
  expect(answer.stderr).toMatch(/no workflow is called 'no such thing', or has this id; there are:/)
})

it('takes the name of a run, of any case, or its id', async () => {
  for (const name of ['Night', 'night', night]) {
    const output = join(receiver.folder, `${name}.html`)
    expect(await run('run', name, `--output=${output}`)).toEqual({
      code: 0,
      stdout: `${output}\n`,
      stderr: '',
    })
    expect(await readFile(output, 'utf8')).toContain('Night')
  }
  expect(JSON.parse((await run('experiment', 'Night', '--json')).stdout)).toMatchObject({ id: night })
})

it('lists the choices when several have the name, or none', async () => {
  const several = await run('workflow', 'assay 7')
  expect([several.code, several.stdout]).toEqual([1, ''])
  const [first, ...choices] = several.stderr.trimEnd().split('\n')
  expect(choices.pop()).toMatch(/^like: madsci-events report run \w{26}$/)
  expect(first).toBe("EVT_REFUSED: there are 2 of the name 'assay 7': give the id of one of them:")
  expect(choices.map((line) => line.trim().split('  ')[0]).toSorted()).toEqual([one, two].toSorted())
  for (const line of choices)
    expect(line).toMatch(/^ {2}\w{26} {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}workflow assay 7$/)
  const none = await run('experiment', 'assay 7')
  expect([none.code, none.stderr.split('\n').length]).toEqual([1, 3])
  expect(none.stderr).toContain(`no experiment is called 'assay 7', or has this id; there are:\n  ${night}`)
  expect((await run('run', createEventId())).code).toBe(1)
})
