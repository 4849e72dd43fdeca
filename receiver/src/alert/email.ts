import { readFileSync } from 'node:fs'
import { createTransport } from 'nodemailer'
import { hideSecrets } from '../url.ts'
import type { Channel, Message, SendOutcome } from './channel.ts'

/** MADSci's EmailAlertsConfig, and what it lacks. */
export interface EmailOptions {
  smtpServer: string
  smtpPort: number
  smtpUsername: string | undefined
  smtpPassword: string | undefined
  /** STARTTLS, and no mail without it. */
  useTls: boolean
  /** TLS from the first byte; port 465 means it too. */
  useSsl: boolean
  /** Certificates to trust beside the system's. */
  tlsCaFile: string | undefined
  sender: string
  /** Not given, or empty: `High` for what fires, `Normal` for the rest. */
  defaultImportance: string | undefined
  emailAddresses: readonly string[]
}

// A slow server may take a minute for a mail; a dead one must not hold the others.
const connectTimeoutMs = 15_000
const answerTimeoutMs = 60_000

/** Mails through one connection, which stays open. */
export function createEmailChannel(name: string, options: EmailOptions): Channel {
  const { smtpServer, smtpPort, smtpUsername, smtpPassword, useTls, sender } = options
  const isImplicit = options.useSsl || smtpPort === 465
  const ca = options.tlsCaFile === undefined ? {} : { ca: readFileSync(options.tlsCaFile) }
  const transport = createTransport({
    pool: true,
    maxConnections: 1,
    // Retries are the outbox's.
    maxRequeues: 0,
    host: smtpServer,
    port: smtpPort,
    secure: isImplicit,
    requireTLS: useTls && !isImplicit,
    ignoreTLS: !useTls && !isImplicit,
    tls: ca,
    ...(smtpUsername !== undefined &&
      smtpPassword !== undefined && { auth: { user: smtpUsername, pass: smtpPassword } }),
    connectionTimeout: connectTimeoutMs,
    greetingTimeout: connectTimeoutMs,
    socketTimeout: answerTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })

  return {
    name,
    kind: 'email',
    targets: options.emailAddresses,
    async send(message, target) {
      const { notice, subject, text, html } = message
      const isUrgent = notice.kind === 'firing' || notice.kind === 'escalation'
      const importance = options.defaultImportance || (isUrgent ? 'High' : 'Normal')
      try {
        await transport.sendMail({
          from: sender,
          to: target,
          subject,
          text,
          html,
          messageId: `<${message.id}@madsci-events>`,
          headers: {
            Importance: importance,
            'X-Priority': toPriority(importance),
            'X-MADSci-Alert-ID': notice.alertId,
            ...eventHeader(message),
          },
        })
        return { kind: 'delivered' }
      } catch (error) {
        return toOutcome(error as SmtpError, smtpPassword)
      }
    },
    close: () => transport.close(),
  }
}

const eventHeader = ({ events }: Message): { [name: string]: string } =>
  events[0] ? { 'X-MADSci-Event-ID': events[0].id } : {}

/** 1 is high, 3 normal, 5 low. */
function toPriority(importance: string): string {
  const word = importance.toLowerCase()
  return word === 'high' ? '1' : word === 'low' ? '5' : '3'
}

interface SmtpError extends Error {
  code?: string
  responseCode?: number
  command?: string
}

const distrust = /self[- ]signed|unable to (?:verify|get)|certificate chain/i

/** 5xx to an address or a mail is final (RFC 5321 4.2.1). A wrong password is not: somebody can mend it within the day. */
function toOutcome({ code, responseCode, message }: SmtpError, password: string | undefined): SendOutcome {
  // Node's own words name a flag of Node.
  const said = distrust.test(message)
    ? 'the certificate of the mail server is not trusted: name it, or that of its authority, in tls_ca_file'
    : message
  const reason = hideSecrets(said, password === undefined ? [] : [password])
  const isFinal = code !== 'EAUTH' && responseCode !== undefined && responseCode >= 500 && responseCode < 600
  const isAboutMail = code === 'EENVELOPE' || code === 'EMESSAGE'
  return { kind: isFinal && isAboutMail ? 'refused' : 'retry', reason }
}
