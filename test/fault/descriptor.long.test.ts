import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { spawnReceiver } from '../support/process.ts'
import { prepareStore } from '../support/store-flag.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A request from an address of its own. */
function ask(url: string, localAddress: string, body?: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      {
        localAddress,
        agent: false,
        method: body === undefined ? 'GET' : 'POST',
        headers: { 'content-type': 'application/json' },
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode!, text }))
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

describe('a process that may have 400 descriptors', () => {
  for (const store of ['sqlite', 'mongodb'] as const)
    it(`takes, commits and answers while strangers open all the connections they can, on ${store}`, async (context) => {
      const prepared = await prepareStore(store)
      if ('skip' in prepared) return context.skip(prepared.skip)
      cleanups.push(prepared.stop)
      const folder = await mkdtemp(join(tmpdir(), 'madsci-descriptors-'))
      cleanups.push(() => rm(folder, { recursive: true, force: true }))
      const receiver = await spawnReceiver({
        flags: { server_url: 'http://127.0.0.1:0/', grpc_port: '0', ...prepared.flags },
        cwd: folder,
        maxDescriptors: 400,
      })
      cleanups.push(async () => {
        receiver.kill('SIGTERM')
        await receiver.exited
      })
      const sockets: Socket[] = []
      cleanups.push(() => sockets.forEach((socket) => void socket.destroy()))
      for (const url of [receiver.url, receiver.otlpUrl, receiver.grpcUrl])
        for (let i = 0; i < 400; i++) {
          const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1' })
          socket.on('error', () => {})
          socket.resume()
          sockets.push(socket)
        }
      await sleep(1000)
      const ids: string[] = []
      for (let i = 0; i < 50; i++) {
        const { status, text } = await ask(
          `${receiver.url}event`,
          '127.0.0.7',
          JSON.stringify({ event_type: 'test' }),
        )
        expect(status).toBe(200)
        ids.push((JSON.parse(text) as { _id: string })._id)
      }
      const { text } = await ask(`${receiver.url}events?number=100`, '127.0.0.7')
      expect(Object.keys(JSON.parse(text) as object).sort()).toEqual(ids.sort())
      expect((await ask(`${receiver.url}health/ready`, '127.0.0.7')).status).toBe(200)
      expect((await ask(`${receiver.url}metrics`, '127.0.0.7')).text).toMatch(
        /madsci_connections_refused_total\{reason="too many of one address"\} [1-9]/,
      )
      expect(receiver.stdout + receiver.stderr).not.toMatch(/EMFILE|ENFILE/)
      for (const socket of sockets) socket.destroy()
      await expect
        .poll(async () => (await ask(`${receiver.url}health/live`, '127.0.0.1')).status, { timeout: 10_000 })
        .toBe(200)
    })
})
