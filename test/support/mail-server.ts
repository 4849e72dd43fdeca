// A mail server in a process of its own: `node mail-server.ts FOLDER` says `listening <port>`, and writes what it took to
// FOLDER/mails.ndjson, one line each, before it accepts. What it does with a mail stands in the address: see `fates`.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A mail that the server accepted. */
export interface TakenMail {
  to: string
  from: string
  raw: string
  /** Of the connection: one for all while it is pooled. */
  session: string
  isSecure: boolean
  user: string | null
}

export interface MailServerSettings {
  /** Names of files. */
  tls?: { key: string; cert: string }
  isImplicit?: boolean
  password?: string
}

const [folder, settingsText = '{}'] = process.argv.slice(2)
const settings = JSON.parse(settingsText) as MailServerSettings
const refusals = new Map<string, number>()

function fail(text: string, responseCode: number): Error {
  return Object.assign(new Error(text), { responseCode })
}

/** By the first word of the address: what happens, the second time differently for those that are tried again. */
const fates: {
  [word: string]: (attempt: number, place: 'address' | 'mail') => Promise<Error | 'drop' | undefined>
} = {
  grey: async (attempt, place) => (place === 'address' && attempt <= 2 ? fail('greylisted', 451) : undefined),
  busy: async (attempt, place) => (place === 'mail' && attempt <= 1 ? fail('too busy', 421) : undefined),
  nobody: async (_, place) => (place === 'address' ? fail('no such user', 550) : undefined),
  unwanted: async (_, place) => (place === 'mail' ? fail('not wanted', 554) : undefined),
  dropped: async (attempt, place) => (place === 'mail' && attempt <= 1 ? 'drop' : undefined),
  slow: async (_, place) => {
    if (place === 'mail') await sleep(2500)
    return undefined
  },
}

async function fateOf(address: string, place: 'address' | 'mail'): Promise<Error | 'drop' | undefined> {
  // A switch for tests: as long as this file is there, everybody is turned away.
  if (existsSync(join(folder!, 'down'))) return fail('down for maintenance', 451)
  const key = `${address} ${place}`
  const attempt = (refusals.get(key) ?? 0) + 1
  refusals.set(key, attempt)
  return fates[address.split(/[-@]/)[0]!]?.(attempt, place)
}

const options: SMTPServerOptions = {
  secure: settings.isImplicit ?? false,
  ...(settings.tls && {
    key: readFileSync(settings.tls.key, 'utf8'),
    cert: readFileSync(settings.tls.cert, 'utf8'),
  }),
  hideSTARTTLS: !settings.tls,
  authOptional: settings.password === undefined,
  allowInsecureAuth: true,
  disableReverseLookup: true,
  onAuth(auth, _session, done) {
    if (auth.password === settings.password) done(null, { user: auth.username ?? '' })
    else done(fail('wrong password', 535))
  },
  onRcptTo(address, _session, done) {
    void fateOf(address.address, 'address').then((fate) => done(fate instanceof Error ? fate : null))
  },
  onData(stream, session, done) {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', async () => {
      const to = session.envelope.rcptTo[0]?.address ?? ''
      const fate = await fateOf(to, 'mail')
      if (fate === 'drop') {
        for (const connection of server.connections as Iterable<{ _socket: { destroy(): void } }>)
          connection._socket.destroy()
        return
      }
      if (fate) return done(fate)
      const { mailFrom } = session.envelope
      const mail: TakenMail = {
        to,
        from: mailFrom ? mailFrom.address : '',
        raw: Buffer.concat(chunks).toString('utf8'),
        session: session.id,
        isSecure: session.secure,
        user: typeof session.user === 'string' ? session.user : null,
      }
      appendFileSync(join(folder!, 'mails.ndjson'), `${JSON.stringify(mail)}\n`)
      done(null)
    })
  },
}
const server = new SMTPServer(options)
server.on('error', () => {})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.server.address() as { port: number }
  process.stdout.write(`listening ${port}\n`)
})
// It ends with the test.
process.stdin.resume().on('end', () => process.exit(0))
