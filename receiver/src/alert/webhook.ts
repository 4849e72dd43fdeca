import { createHmac } from 'node:crypto'
import { type ClientRequest, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { toJson, type Value } from '@madsci-events/sdk/event'
import { toInertLine } from '../inert.ts'
import { showUrlsIn } from '../url.ts'
import { createGuardedLookup, isInnerAddress, refusedAddress } from './address.ts'
import type { Channel, Message, SendOutcome } from './channel.ts'

export const webhookKinds = ['webhook', 'slack', 'teams'] as const
export type WebhookKind = (typeof webhookKinds)[number]

export interface WebhookOptions {
  kind: WebhookKind
  url: string
  /** webhook: key of the signature. */
  secret: string | undefined
  /** Hosts of the inner network that may be told. */
  privateHosts: readonly string[]
  /** Of the whole request. */
  timeoutMs?: number
}

const maxAnswerBytes = 64 * 1024
const finalStatuses = new Set([400, 401, 403, 404, 405, 410, 413, 414, 415, 422])

/**
 * POST of JSON. `x-madsci-signature` is `t=<unix seconds>,v1=<hex>`: HMAC-SHA256, with the secret, of the seconds, a dot
 * and the body as it was sent. `x-madsci-delivery` is the same for every attempt. Redirects are not followed.
 * The status decides as soon as it is there, whatever becomes of the rest of the answer.
 */
export function createWebhookChannel(name: string, options: WebhookOptions): Channel {
  const { kind, secret, privateHosts, timeoutMs = 20_000 } = options
  const url = new URL(options.url)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isAllowed = privateHosts.includes(host)
  const lookup = createGuardedLookup(isAllowed)

  const underWay = new Set<ClientRequest>()
  let isClosed = false

  function post(body: string, headers: { [name: string]: string }): Promise<number> {
    if (!isAllowed && isIP(host) !== 0 && isInnerAddress(host)) return Promise.reject(refusedAddress(host))
    if (isClosed) return Promise.reject(cut())
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? requestHttps : requestHttp
      // No agent: a connection that stays open was checked for another request.
      const request = send(url, { method: 'POST', headers, lookup, agent: false }, (response) => {
        resolve(response.statusCode ?? 0)
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > maxAnswerBytes) response.destroy()
        })
        response.on('error', () => {})
      })
      underWay.add(request)
      // Not of silence alone: an answer may come drop by drop for days.
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      )
      request.on('error', reject)
      request.on('close', () => {
        clearTimeout(timer)
        underWay.delete(request)
      })
      request.end(body)
    })
  }

  return {
    name,
    kind,
    targets: [''],
    async send(message) {
      const body = toJson(bodies[kind](message) as Value)
      const seconds = Math.floor(Date.now() / 1000)
      const headers = {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        'user-agent': 'madsci-events',
        'x-madsci-delivery': message.id,
        ...(secret !== undefined && {
          'x-madsci-signature': `t=${seconds},v1=${sign(secret, seconds, body)}`,
        }),
      }
      try {
        return toOutcome(await post(body, headers))
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        const reason = showUrlsIn(message)
        if (code === 'EINNER') return { kind: 'refused', reason }
        return { kind: 'retry', reason: code ? `${code}: ${reason}` : reason }
      }
    },
    close() {
      isClosed = true
      for (const request of underWay) request.destroy(cut())
    },
  }
}

const cut = () => new Error('the receiver stops')

export const sign = (secret: string, seconds: number, body: string): string =>
  createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')

function toOutcome(status: number): SendOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  const isMoved = status >= 300 && status < 400
  const reason = isMoved ? `${status}: redirects are not followed` : `status ${status}`
  return { kind: isMoved || finalStatuses.has(status) ? 'refused' : 'retry', reason }
}

const bodies: { [kind in WebhookKind]: (message: Message) => object } = {
  webhook: ({ id, notice, subject, events }) => ({
    delivery_id: id,
    alert_id: notice.alertId,
    rule: notice.rule,
    kind: notice.kind,
    at: new Date(notice.atMs).toISOString(),
    subject,
    why: notice.why,
    log_level: notice.level,
    key: JSON.parse(notice.key),
    source: notice.labels,
    count: notice.count,
    total: notice.total,
    event_ids: notice.ids,
    events: events.map(({ document }) => document),
    links: events.map(({ link }) => link),
    ...(notice.items && {
      alerts: notice.items.map(({ alertId, key, why, count, ids }) => ({
        alert_id: alertId,
        key: JSON.parse(key),
        why,
        count,
        event_ids: ids,
      })),
    }),
  }),
  slack: ({ subject, notice, events }) => ({
    text: escapeSlack(subject),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: subject.slice(0, 150) } },
      toSlackSection(`*${escapeSlack(notice.rule)}*: ${escapeSlack(oneLine(notice.why))}`),
      ...events
        .slice(0, 5)
        .map(({ document, link }) => toSlackSection(`<${link}|${escapeSlack(lineOf(document))}>`)),
    ],
    unfurl_links: false,
    unfurl_media: false,
  }),
  teams: ({ subject, notice, events }) => ({
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        content: {
          type: 'AdaptiveCard',
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          version: '1.4',
          body: [
            toTeamsText(subject, { weight: 'Bolder', size: 'Medium' }),
            toTeamsText(`${notice.rule}: ${oneLine(notice.why)}`),
            ...events.slice(0, 5).map(({ document }) => toTeamsText(lineOf(document), { isSubtle: true })),
          ],
          actions: events
            .slice(0, 1)
            .map(({ link }) => ({ type: 'Action.OpenUrl', title: 'Event', url: link })),
        },
      },
    ],
  }),
}

/** A TextBlock would read Markdown, and with it links under any name; a run of text is shown as it is. */
const toTeamsText = (text: string, style: object = {}) => ({
  type: 'RichTextBlock',
  inlines: [{ type: 'TextRun', text, ...style }],
})

/** `verbatim`: names and addresses in the text do not become mentions and links; the link that we write remains one. */
const toSlackSection = (text: string) => ({ type: 'section', text: { type: 'mrkdwn', text, verbatim: true } })

const escapeSlack = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** One line about an event, for people. */
export function lineOf(document: { [key: string]: unknown }): string {
  const data = document.event_data as { message?: unknown } | undefined
  const message = typeof data?.message === 'string' ? data.message : toJson((data ?? null) as Value)
  return oneLine(`${document.event_timestamp} ${document.event_type}: ${message.slice(0, 500)}`)
}

const oneLine = (text: string) => toInertLine(text.replace(/\s+/g, ' '))
