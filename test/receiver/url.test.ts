import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCommand } from '../../receiver/src/cli/command.ts'
import { createPassOn } from '../../receiver/src/fanout/pass-on.ts'
import { showUrl, showUrlsIn, showUrlsInJson, splitLogin } from '../../receiver/src/url.ts'
import { anyCharacter } from '../support/character.ts'
import { encodeLogs } from '../support/otlp.ts'
import { spawnReceiver } from '../support/process.ts'

let folder: string
const closes: (() => unknown)[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-url-'))
  closes.push(() => rm(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close()
})

/** A server that repeats the login it was sent, as some do, with this status. */
async function startEcho(status: number) {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    request.resume().on('end', () => {
      response.writeHead(status, { 'content-type': 'text/plain' })
      response.end(
        `bad ${request.headers.authorization} ${request.headers['x-key']} for http://${request.headers.host}${request.url}`,
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closes.push(() => server.close())
  closes.push(() => server.closeAllConnections())
  return { requests, port: (server.address() as AddressInfo).port }
}

const login = 'us%40er:p%40ss%2FSECRET%C3%BC'
const basic = `Basic ${Buffer.from('us@er:p@ss/SECRETü').toString('base64')}`

describe('a URL that is shown', () => {
  it.for([
    ['http://u:SECRET@h/x', 'http://***@h/x'],
    ['http://SECRET@h', 'http://***@h'],
    ['http://h/x?token=SECRET&a=SECRET&SECRET#SECRET', 'http://h/x?token=***&a=***&***#***'],
    ['http:\\\\u:SECRET@h', 'http:\\\\***@h'],
    ['http:u:SECRET@h', 'http:***@h'],
    [
      'mongodb://u:SEC/RET?SECRET@h1:1,h2:2/db?authSource=SECRET',
      'mongodb://***@h1:1,h2:2/db?authSource=***',
    ],
    ['http://u:SECRET@@h:99999/', 'http://***@h:99999/'],
    ['u:SECRET@h', '***@h'],
    ['//u:SECRET@h', '***@h'],
    [
      'https://hooks.slack.com/services/T0/B0/SECRETabc0123456789xyz',
      'https://hooks.slack.com/services/T0/B0/***',
    ],
    ['http://127.0.0.1:8001/', 'http://127.0.0.1:8001/'],
    ['http://u/SECRET@h', 'http://***@h'],
    ['http://h/x?mail=a@b', 'http://h/x?mail=***'],
    ['http://h:8001/x?mail=a@b', 'http://h:8001/x?mail=***'],
    ['https://!/:SECRET#@h', 'https://***@h'],
    ['localhost:4317', 'localhost:4317'],
  ])('%s is %s', ([url, shown]) => {
    expect(showUrl(url!)).toBe(shown)
    if (url!.includes(':/') || url!.startsWith('http'))
      expect(showUrlsIn(`no "${url}"`)).toBe(`no "${shown}"`)
  })

  it('never shows the login, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 12 }),
        fc.string({ maxLength: 12 }),
        (user, noise) => {
          const url = new URL('https://host/')
          url.username = `${user}a`
          url.password = `SECRET${noise}`
          expect(showUrl(url)).toBe('https://***@host/')
          expect(showUrl(url.href)).toBe('https://***@host/')
          expect(showUrl(`https://${user}:SECRET${noise}@host:x/`)).not.toContain('SECRET')
        },
      ),
    )
  })

  it('is hidden in JSON without harm to it', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), fc.string({ unit: anyCharacter }), (before, after) => {
        const shown = showUrlsInJson(
          JSON.stringify({ a: [`${before} http://u:SECRET@h/?x=SECRET`, 1], b: after, c: null }),
        )
        expect(JSON.parse(shown)).toMatchObject({ a: [expect.not.stringContaining('SECRET'), 1], c: null })
      }),
    )
    for (const text of [
      'http:\nx@y',
      'http://h?x=a"',
      'http://u:p\\SECRET@h',
      'http://u:"SECRET@h',
      'a:\nb@c',
    ]) {
      const shown = JSON.parse(showUrlsInJson(JSON.stringify({ text })))
      expect(shown).toEqual({ text: showUrlsIn(text) })
    }
    const honest = JSON.stringify({ url: 'http://127.0.0.1:8001/', text: 'a\nb', n: 1 })
    expect(showUrlsInJson(honest)).toBe(honest)
  })

  it('is found in time that does not grow faster than the text', () => {
    // Minutes, were it otherwise.
    for (const part of ['a.', 'http://', 'a:/', 'http:', 'http://x?', '@', 'http://u:p@h/?a=b#c '])
      showUrlsIn(part.repeat(200_000))
  })

  it('becomes an authorization header, also where the login is no right percent code', () => {
    expect(splitLogin(new URL(`http://${login}@h/x`))).toEqual({
      url: new URL('http://h/x'),
      headers: { authorization: basic },
    })
    expect(splitLogin(new URL('http://u:100%@h/')).headers.authorization).toBe(`Basic ${btoa('u:100%')}`)
    expect(splitLogin(new URL('http://h/'))).toEqual({ url: new URL('http://h/'), headers: {} })
  })
})

describe('a login in a URL works', () => {
  it('for traces that are passed on', async () => {
    const { port, requests } = await startEcho(200)
    const passOn = createPassOn(new URL(`http://${login}@127.0.0.1:${port}/otlp/`))
    expect(await passOn('traces', Buffer.from('x'), { contentType: 'application/x-protobuf' })).toMatchObject(
      { status: 200 },
    )
    expect(requests[0]).toMatchObject({ url: '/otlp/v1/traces', headers: { authorization: basic } })
  })

  it('for commands that ask a receiver, and for doctor', async () => {
    const { port, requests } = await startEcho(404)
    for (const args of [['query'], ['tail'], ['alerts'], ['utilization'], ['backup'], ['doctor']]) {
      const { output } = await run([...args, `--server_url=http://${login}@127.0.0.1:${port}/`])
      expect(requests.at(-1)!.headers.authorization, args[0]).toBe(basic)
      expect(output, args[0]).not.toContain('SECRET')
    }
  })
})

async function run(args: string[], environment: { [name: string]: string } = {}) {
  let output = ''
  const stream = {
    write: (text: string) => {
      output += text
    },
  }
  const code = await runCommand(args, {
    environment,
    workingDirectory: folder,
    stdout: stream,
    stderr: stream,
    stopping: new AbortController().signal,
  })
  return { code, output }
}

const closed = '127.0.0.1:9'

/** Every setting that may hold a URL, with a secret wherever a URL has room for one. */
function secretSettings(echoPort: number): { [name: string]: string } {
  const url = (host: string, path = '/SECRETabcdef0123456789') =>
    `http://${login}@${host}${path}?token=SECRET#SECRET`
  return {
    server_url: `http://${login}@127.0.0.1:0/?token=SECRET#SECRET`,
    lab_url: url('lab'),
    explorer_url: `${url('grafana')}&id={event_id}`,
    public_url: url('public'),
    otel_enabled: 'true',
    otel_endpoint: url('otel'),
    otlp_forward_url: url(closed),
    fanout: JSON.stringify([
      { name: 'away', url: url(closed), include: 'all', headers: { 'x-key': 'SECRET-key' } },
      { name: 'echo', url: url(`127.0.0.1:${echoPort}`), include: 'all', headers: { 'x-key': 'SECRET-key' } },
    ]),
    alert_private_hosts: '["127.0.0.1"]',
    alert_channels: JSON.stringify({
      slack: { kind: 'slack', url: url(closed) },
      hook: { kind: 'webhook', url: url(`127.0.0.1:${echoPort}`), secret: 'SECRET' },
    }),
    email_alerts: JSON.stringify({
      smtp_server: 'smtp://u:SECRET@127.0.0.1:9/',
      smtp_username: 'SECRET',
      smtp_password: 'SECRET',
      email_addresses: ['a@example.com'],
    }),
  }
}

describe('no secret of a URL is told', () => {
  it('by the log, the settings, health, metrics, errors, config, doctor and the list of processes', async () => {
    const echo = await startEcho(401)
    const flags = secretSettings(echo.port)
    const receiver = await spawnReceiver({
      cwd: folder,
      flags: { ...flags, log_level: 'trace', grpc_port: '0' },
    })
    closes.push(async () => {
      receiver.kill('SIGTERM')
      await receiver.exited
    })
    const texts: string[] = []
    const ask = async (path: string, init: RequestInit = {}) => {
      const answer = await fetch(`${receiver.url}${path}`, init)
      texts.push(`${path} ${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`)
      return answer.status
    }
    const json = { 'content-type': 'application/json' }
    const event = JSON.stringify({ event_type: 'node_error', log_level: 50, event_data: { message: 'm' } })
    expect(await ask('event', { method: 'POST', headers: json, body: event })).toBe(200)
    const protobuf = { 'content-type': 'application/x-protobuf' }
    expect(await ask('v1/traces', { method: 'POST', headers: protobuf, body: encodeLogs([]) })).toBe(503)
    // Mails, messages and batches fail, and are told of.
    await expect
      .poll(() => receiver.stderr, { timeout: 15_000 })
      .toContain('otlp_forward_url cannot be reached')
    for (const word of ['away', 'echo', 'slack', 'hook'])
      await expect
        .poll(() => receiver.stderr + texts.join(''), { timeout: 15_000, message: word })
        .toContain(word)
    await expect
      .poll(() => ask('alerts').then(() => texts.at(-1)!), { timeout: 15_000 })
      .toMatch(/slack.*ECONNREFUSED/)
    for (const path of [
      'settings',
      'settings?include_schema=true',
      'settings?include_defaults=false',
      'health',
      'health/ready',
      'metrics',
      'definition',
      'openapi.json',
      'alerts?number=9',
      'nothing',
    ])
      await ask(path)
    await ask('alerts/test', { method: 'POST', headers: json, body: '{"channel":"slack"}' })
    await ask('alerts/test', { method: 'POST', headers: json, body: '{"channel":"hook"}' })
    await ask('alerts/test', { method: 'POST', headers: json, body: '{"channel":"email"}' })
    texts.push(await readFile(`/proc/${receiver.pid}/cmdline`, 'utf8'))
    receiver.kill('SIGTERM')
    await receiver.exited
    texts.push(receiver.stdout, receiver.stderr)
    expect(texts.filter((text) => text.includes('SECRET')).map((text) => text.slice(0, 3000))).toEqual([])
    expect(texts.some((text) => text.includes(Buffer.from('us@er:p@ss/SECRETü').toString('base64')))).toBe(
      false,
    )

    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    const commands = [
      ['config'],
      ['config', '--json'],
      ['config', '--given'],
      ['doctor'],
      ['doctor', '--json'],
      ['query'],
      ['query', '--json'],
    ]
    for (const command of commands) {
      const { output } = await run([...command, ...args, '--document_db_url=null:'])
      expect(output.length).toBeGreaterThan(0)
      expect(output, command.join(' ')).not.toContain('SECRET')
    }
  }, 90_000)

  it.for([
    { server_url: `https://${login}@h` },
    { server_url: 'u:SECRET@h' },
    { lab_url: `//${login}@h` },
    { explorer_url: `http://${login}@h?token=SECRET` },
    { public_url: `ftp://${login}@h` },
    { document_db_url: `mysql://${login}@h` },
    { document_db_url: `mongodb://u:SEC/RET:SECRET@h:1:2/` },
    { fanout: `[{"name":"x","url":"ftp://${login}@h"}]` },
    { otlp_forward_url: `ftp://${login}@h` },
    { alert_channels: `{"x":{"kind":"slack","url":"ftp://${login}@h"}}` },
    { from: `postgres://u:SECRET@h` },
    { 'postgres://u:SECRET@h': '' },
  ])('by the error about a wrong one: %j', async (flags) => {
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    for (const command of [['serve'], ['config'], ['doctor'], ['query', '--json'], ['export']]) {
      const { output } = await run([...command, ...args])
      expect(output, command.join(' ')).not.toContain('SECRET')
    }
  })

  it('by a MongoDB that cannot be reached', async () => {
    const url = `mongodb://${login}@${closed}/db?appName=SECRET&serverSelectionTimeoutMS=300`
    for (const command of [
      ['export'],
      ['import', '/etc/hostname'],
      ['doctor'],
      ['doctor', '--json'],
      ['config'],
    ]) {
      const { output } = await run([...command, `--document_db_url=${url}`])
      expect(output, command.join(' ')).not.toContain('SECRET')
      const { output: other } = await run(['export', `--from=${url}`])
      expect(other).not.toContain('SECRET')
    }
    const receiver = await spawnReceiver({
      flags: { server_url: 'http://127.0.0.1:0/', document_db_url: url },
    })
    const answers = await Promise.all(
      ['health', 'settings', 'events', 'health/ready'].map(async (path) =>
        (await fetch(receiver.url + path)).text(),
      ),
    )
    receiver.kill('SIGTERM')
    await receiver.exited
    expect([...answers, receiver.stdout, receiver.stderr].join('\n')).not.toContain('SECRET')
  }, 60_000)

  it('by the list of processes, the launcher included', async () => {
    const launcher = join(import.meta.dirname, '../../receiver/bin/madsci-events.js')
    const child = execFile(process.execPath, [
      launcher,
      'serve',
      '--server_url=http://127.0.0.1:0/',
      '--otlp_port=0',
      '--grpc_port=none',
      `--lab_url=http://${login}@lab`,
      '--document_db_url=null:',
    ])
    const exited = once(child, 'exit')
    closes.push(async () => {
      child.kill('SIGTERM')
      await exited
    })
    let output = ''
    child.stdout!.on('data', (chunk) => {
      output += chunk
    })
    await expect.poll(() => output, { timeout: 20_000 }).toContain('events rest in')
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    for (const pid of [child.pid, ...children.trim().split(' ')])
      expect(await readFile(`/proc/${pid}/cmdline`, 'utf8'), String(pid)).not.toContain('SECRET')
  }, 30_000)
})
