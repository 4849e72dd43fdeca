import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHttpSink } from '../../support/alert-sink.ts'
import { runLine } from '../../support/command-run.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const node_id = '01JJ4S0WNGEF5FQAZG5KDGJRBV'

describe('madsci-events alerts', () => {
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  let sink: Awaited<ReturnType<typeof startHttpSink>>
  beforeAll(async () => {
    sink = await startHttpSink(({ path }) => (path === '/gone' ? 410 : 200))
    const url = `http://127.0.0.1:${sink.port}`
    receiver = await startTestReceiver({
      flags: {
        alert_private_hosts: '["127.0.0.1"]',
        alert_channels: JSON.stringify({
          hook: { kind: 'webhook', url: `${url}/hook` },
          gone: { kind: 'webhook', url: `${url}/gone` },
        }),
      },
    })
    // A node's name stands in another event than the one that is an alert.
    for (const event of [
      { event_type: 'node_start', source: { node_id }, event_data: { node_name: 'robot-arm' } },
      { event_type: 'node_error', log_level: 50, source: { node_id }, event_data: { message: 'no tip' } },
    ])
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        body: JSON.stringify(event),
        headers: { 'content-type': 'application/json' },
      })
  })
  afterAll(async () => {
    await receiver?.close()
    await sink?.stop()
  })

  const run = (...args: string[]) => runAt(undefined, ...args)

  const runAt = (columns: number | undefined, ...args: string[]) =>
    runLine(['alerts', ...args, `--server_url=${receiver.url}`], {
      workingDirectory: receiver.folder,
      columns,
    })

  it('lists alerts and what could not be delivered, shows and changes one, tests a channel, previews a rule', async () => {
    await expect.poll(async () => (await run()).stdout, { timeout: 10_000 }).toContain('1 given up')
    const list = await run('list', '--state=firing')
    expect(list.stdout).toContain('failed gone after 1 attempt: status 410')
    expect(list.stdout).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d firing alert_level node_error robot-arm, 1 event: no tip\n {4}\w{26} {2}1 message delivered; an event at or above/,
    )
    expect(list.stdout).not.toContain(node_id)
    const shown = await (await fetch(`${receiver.url}metrics`)).text()
    expect(shown).toContain('madsci_alerts_raised_total{rule="alert_level"} 1\n')
    const narrow = (await runAt(60)).stdout.split('\n')[0]!
    expect([narrow.length, narrow.at(-1)]).toEqual([60, '…'])
    expect(await run('list', '--state=silenced')).toMatchObject({ stderr: 'no alert matches\n' })
    const [alert] = JSON.parse((await run('--json')).stdout) as { alert_id: string }[]
    expect(JSON.parse((await run('show', alert!.alert_id)).stdout)).toMatchObject(alert!)
    expect((await run('silence', alert!.alert_id, '--minutes=5')).stdout).toContain('silenced')
    const acknowledged = (await run('acknowledge', alert!.alert_id, '--by=me')).stdout
    expect(acknowledged).toMatch(
      / acknowledged alert_level .*\n.*; acknowledged by me; silenced until \d{4}-/,
    )
    expect((await run('resolve', alert!.alert_id)).stdout).toContain('resolved')
    expect(await run('test', 'hook')).toMatchObject({ code: 0, stdout: 'hook  delivered\n' })
    expect(await run('test', 'gone')).toMatchObject({ code: 1, stdout: 'gone  refused  status 410\n' })
    const preview = await run('preview', '{"selector": {"event_type": "node_error"}}')
    expect(preview.stdout).toContain(' events, 1 matched: 1 alert, 1 message\n')
    const grouped = '{"selector": {"event_type": "node_error"}, "group_by": ["source.node_id"]}'
    expect((await run('preview', grouped)).stdout).toMatch(/:\d\d firing robot-arm, 1 event: no tip\n$/)
    expect((await run('preview', 'alert_level')).code).toBe(0)
    expect((await run('preview', 'pump')).stderr).toContain('the name of a rule (alert_level')
    expect((await run('preview', '{selector: {event_type: node_error}}')).stdout).toBe(
      (await run('preview', '{"selector": {"event_type": "node_error"}}')).stdout,
    )
    const broken = await run('preview', '{selector: {event_type: "node_error}')
    expect([broken.code, broken.stdout]).toEqual([1, ''])
    expect(broken.stderr).toMatch(/the rule is neither JSON nor YAML: .+\n?.*one looks like/)
    expect(broken.stderr).not.toContain('.ts:')
    expect((await run('show')).code).toBe(2)
    expect((await run('shout', 'x')).code).toBe(2)
    expect((await run('show', 'nobody')).code).toBe(1)
  })
})
