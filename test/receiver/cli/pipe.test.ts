import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { ownEnv } from '../../support/process.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const main = join(import.meta.dirname, '../../../receiver/src/main.ts')

it('all of a long answer reaches a reader who takes his time', async () => {
  const receiver = await startTestReceiver()
  try {
    for (let i = 0; i < 4; i++)
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ event_type: 'log_info', event_data: { message: 'x'.repeat(500_000) } }),
      })
    const line = `"$0" --conditions=madsci-events-source "$1" query --json --number=0 --server_url="$2" | (sleep 0.5; wc -c)`
    const { stdout } = await promisify(execFile)('sh', ['-c', line, process.execPath, main, receiver.url], {
      env: ownEnv(),
    })
    const answer = await (await fetch(`${receiver.url}events?number=0`)).text()
    expect(Number(stdout)).toBeGreaterThanOrEqual(answer.length)
  } finally {
    await receiver.close()
  }
})
