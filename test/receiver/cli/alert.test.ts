import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { startHttpSink } from '../../support/alert-sink.ts'
import { startTestReceiver } from '../../support/receiver.ts'

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
    await fetch(`${receiver.url}event`, {
      method: 'POST',
      body: JSON.stringify({ event_type: 'node_error', log_level: 50 }),
      headers: { 'content-type': 'application/json' },
    })
  })
  afterAll(async () => {
    await receiver?.close()
    await sink?.stop()
  })

  async function run(...args: string[]) {
    let stdout = ''
    let stderr = ''
    const code = await runCommand(['alerts', ...args, `--server_url=${receiver.url}`], {
      environment: {},
      workingDirectory: receiver.folder,
      stdout: {
        write(text) {
          stdout += text
        },
      },
      stderr: {
        write(text) {
          stderr += text
        },
      },
      stopping: new AbortController().signal,
    })
    return { code, stdout, stderr }
  }

  it('lists alerts and what could not be delivered, shows and changes one, tests a channel, previews a rule', async () => {
    await expect.poll(async () => (await run()).stdout, { timeout: 10_000 }).toContain('1 undeliverable')
    const list = await run('list', '--state=firing')
    expect(list.stdout).toContain('failed gone  after 1 attempts: status 410')
    const [alert] = JSON.parse((await run('--json')).stdout) as { alert_id: string }[]
    expect(JSON.parse((await run('show', alert!.alert_id)).stdout)).toMatchObject(alert!)
    expect((await run('silence', alert!.alert_id, '--minutes=5')).stdout).toContain('silenced')
    expect((await run('acknowledge', alert!.alert_id, '--by=me')).stdout).toContain('acknowledged')
    expect((await run('resolve', alert!.alert_id)).stdout).toContain('resolved')
    expect(await run('test', 'hook')).toMatchObject({ code: 0, stdout: 'hook  delivered\n' })
    expect(await run('test', 'gone')).toMatchObject({ code: 1, stdout: 'gone  refused  status 410\n' })
    const preview = await run('preview', '{"selector": {"event_type": "node_error"}}')
    expect(preview.stdout).toContain('1 matched: 1 alerts, 1 messages')
    expect((await run('preview', 'alert_level')).code).toBe(0)
    expect((await run('show')).code).toBe(2)
    expect((await run('shout', 'x')).code).toBe(2)
    expect((await run('show', 'nobody')).code).toBe(1)
  })
})
