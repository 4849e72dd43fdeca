import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { takeTurns } from '../../../receiver/src/http/take-turns.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { waitUntil } from '../../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function open(): Promise<{ port: number; url: string }> {
  const receiver = await startTestReceiver({ flags: { rate_limit_enabled: 'false' } })
  cleanups.push(() => receiver.close())
  return { port: Number(new URL(receiver.url).port), url: receiver.url }
}

/** Sends the text; `answers` has the status and the body of each answer so far. */
function say(port: number, text: string) {
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
  cleanups.push(() => socket.destroy())
  socket.write(text)
  let received = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    received += chunk
  })
  const answers = () => received.split('HTTP/1.1 ').slice(1)
  return {
    socket,
    answers,
    async wait(count: number) {
      while (answers().length < count) await once(socket, 'data')
      return answers()
    },
  }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`

it('requests that came in one packet do not hold those of others', async () => {
  const { port, url } = await open()
  await fetch(`${url}health`)
  const many = say(port, get('/health').repeat(1000))
  await many.wait(1)
  const one = say(port, get('/health/live'))
  await one.wait(1)
  expect(many.answers().length).toBeLessThan(900)
  const all = await many.wait(1000)
  expect(all.filter((answer) => answer.startsWith('200'))).toHaveLength(1000)
})

it('are answered each, in their order, bodies and all, however many', async () => {
  const { port } = await open()
  const post = (n: number) => {
    const body = JSON.stringify({
      event_type: 'log_info',
      event_data: { message: 'm'.repeat(n % 7 === 0 ? 40_000 : 10), n },
    })
    return `POST /event?n=${n} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  }
  const count = 450
  const texts = Array.from({ length: count }, (_, n) => (n % 3 === 0 ? post(n) : get(`/nowhere/${n}`)))
  const answers = await say(port, texts.join('')).wait(count)
  for (const [n, answer] of answers.entries())
    expect(answer).toMatch(n % 3 === 0 ? new RegExp(`^200[^]*"n":${n}\\b`) : /^404/)
})

/** A server of our own, whose first answer never ends; what it has read, and what it has begun. */
async function openSilent() {
  let read = 0
  let begun = 0
  let ended = 0
  const server = createServer((_request, response) => {
    begun++
    if (begun === 1) response.write('it goes on')
    else response.end()
  })
  takeTurns(server, { onEnd: () => void ended++ })
  server.on('request', () => void read++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, counts: () => ({ read, begun, ended }) }
}

it('a sender who does not wait for his answers is read no further', async () => {
  const { port, counts } = await openSilent()
  const { socket } = say(port, get('/').repeat(200_000))
  await once(socket, 'data')
  for (let last = -1; counts().read !== last; ) {
    last = counts().read
    await sleep(300)
  }
  expect(counts().read).toBeLessThan(5000)
  expect(counts()).toMatchObject({ begun: 1, ended: 0 })
})

it('of a client that has gone are not begun', async () => {
  const { port, counts } = await openSilent()
  const { socket } = say(port, get('/').repeat(500))
  await once(socket, 'data')
  socket.destroy()
  await waitUntil(async () => counts().read === 500 || counts().read > 100, 'what came')
  await sleep(100)
  expect(counts().begun).toBeLessThan(3)
})
