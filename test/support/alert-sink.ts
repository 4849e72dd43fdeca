import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MailServerSettings, TakenMail } from './mail-server.ts'

/** A real mail server, as a process of its own. */
export interface MailServer {
  readonly port: number
  readonly caFile: string
  mails(): TakenMail[]
  /** Turns everybody away (451), or no more. */
  setDown(isDown: boolean): Promise<void>
  stop(): Promise<void>
}

const program = join(import.meta.dirname, 'mail-server.ts')

export interface MailServerOptions {
  tls?: 'starttls' | 'implicit'
  password?: string
}

export async function startMailServer({ tls, password }: MailServerOptions = {}): Promise<MailServer> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-mail-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  if (tls) makeCertificate(key, cert)
  const settings: MailServerSettings = {
    ...(tls && { tls: { key, cert }, isImplicit: tls === 'implicit' }),
    ...(password !== undefined && { password }),
  }
  const child: ChildProcess = spawn(
    process.execPath,
    ['--conditions=madsci-events-source', program, folder, JSON.stringify(settings)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  let text = ''
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout!.on('data', (chunk) => {
      text += chunk
      const match = /listening (\d+)/.exec(text)
      if (match) resolve(Number(match[1]))
    })
    child.once('exit', () => reject(new Error(`the mail server ended: ${text}`)))
  })
  const taken = join(folder, 'mails.ndjson')
  return {
    port,
    caFile: cert,
    mails() {
      if (!existsSync(taken)) return []
      const lines = readFileSync(taken, 'utf8').split('\n')
      return lines.filter(Boolean).map((line) => JSON.parse(line) as TakenMail)
    },
    setDown: (isDown) =>
      isDown ? writeFile(join(folder, 'down'), '') : rm(join(folder, 'down'), { force: true }),
    async stop() {
      const gone = once(child, 'exit')
      child.stdin!.end()
      await gone
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Why no certificate can be made here; undefined when one can. */
export function findOpenssl(): string | undefined {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'no openssl, which makes the certificate of the mail server'
  }
}

function makeCertificate(key: string, cert: string): void {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', key, '-out', cert, '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...curve, ...files, ...subject], { stdio: 'ignore' })
}

export interface SinkRequest {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** An HTTP server that keeps what it was told, and answers what `answer` says. */
export async function startHttpSink(answer: (request: SinkRequest, count: number) => number = () => 200) {
  const requests: SinkRequest[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8')
      const one = { path: request.url ?? '', headers: request.headers, body }
      requests.push(one)
      const status = answer(one, requests.length)
      // 0: the connection ends without an answer.
      if (status === 0) return void request.socket.destroy()
      response.writeHead(status, status === 302 ? { location: 'http://127.0.0.1:1/' } : {}).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    port,
    url: `http://127.0.0.1:${port}/hook`,
    requests,
    async stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}
