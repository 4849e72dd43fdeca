import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Channel, Message } from '../../../receiver/src/alert/channel.ts'
import { createWebhookChannel, webhookKinds } from '../../../receiver/src/alert/webhook.ts'
import { startHttpSink } from '../../support/alert-sink.ts'
import { notice } from '../../support/notice.ts'

const message: Message = { id: 'd', notice, subject: '', text: '', html: '', events: [] }

describe('the answer to a webhook', () => {
  const closes: (() => void)[] = []
  afterEach(() => {
    for (const close of closes.splice(0)) close()
  })

  /** A channel to a server that says what `answer` writes. */
  async function createRig(answer: (socket: Socket) => void, timeoutMs?: number) {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => answer(socket))
      closes.push(() => socket.destroy())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closes.push(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const options = { kind: 'webhook', url, secret: undefined, privateHosts: ['127.0.0.1'] } as const
    const channel: Channel = createWebhookChannel('c', { ...options, ...(timeoutMs && { timeoutMs }) })
    closes.push(() => channel.close())
    return { channel, send: () => channel.send(message, '') }
  }

  it.for(webhookKinds)('of any event: 64-bit integers arrive with all their digits (%s)', async (kind) => {
    const sink = await startHttpSink()
    closes.push(() => sink.stop())
    const channel = createWebhookChannel('c', {
      kind,
      url: sink.url,
      secret: undefined,
      privateHosts: ['127.0.0.1'],
    })
    closes.push(() => channel.close())
    const document = { event_id: 'e', event_data: { count: 9007199254740993n } }
    const events = [{ id: 'e', link: 'http://a/', document }]
    expect(await channel.send({ ...message, events }, '')).toEqual({ kind: 'delivered' })
    expect(sink.requests[0]!.body.replaceAll('\\', '')).toContain('"count":9007199254740993}')
  })

  function drip(socket: Socket, text: string): void {
    const timer = setInterval(() => socket.write(text), 20)
    socket.on('close', () => clearInterval(timer))
  }

  it('counts by its status, also when the rest is cut off', async () => {
    const { send } = await createRig((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut', () => socket.destroy()),
    )
    expect(await send()).toEqual({ kind: 'delivered' })
  })

  it('has one limit, however it drips', async () => {
    const heads = await createRig((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      drip(socket, 'x: y\r\n')
    }, 200)
    expect(await heads.send()).toEqual({ kind: 'retry', reason: 'no answer within 200 ms' })
    let isCut = false
    const body = await createRig((socket) => {
      socket.on('close', () => {
        isCut = true
      })
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n')
      drip(socket, '.')
    }, 200)
    expect(await body.send()).toEqual({ kind: 'delivered' })
    await expect.poll(() => isCut).toBe(true)
  })

  it('is not waited for once the channel is closed', async () => {
    let isAsked = false
    const { channel, send } = await createRig(() => {
      isAsked = true
    })
    const outcome = send()
    await expect.poll(() => isAsked).toBe(true)
    channel.close()
    expect(await outcome).toEqual({ kind: 'retry', reason: 'the receiver stops' })
    expect(await send()).toEqual({ kind: 'retry', reason: 'the receiver stops' })
  })
})
