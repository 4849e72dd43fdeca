import { afterEach, describe, expect, it } from 'vitest'
import { createWebhookChannel, type WebhookKind } from '../../../receiver/src/alert/webhook.ts'
import { startHttpSink } from '../../support/alert-sink.ts'
import { notice } from '../../support/notice.ts'

const closes: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closes.splice(0)) await close()
})

const text =
  '[Click me](https://evil.example/login) <https://evil.example|here> <!channel> **bold** `x` \u202eabc\nnext'
const document = {
  event_id: 'e',
  event_type: 'log_error',
  event_timestamp: 't',
  event_data: { message: text },
}

/** What the chat room is sent. */
async function bodyOf(kind: WebhookKind) {
  const sink = await startHttpSink(() => 200)
  closes.push(() => sink.stop())
  const url = `http://127.0.0.1:${sink.port}/x`
  const channel = createWebhookChannel('c', { kind, url, secret: undefined, privateHosts: ['127.0.0.1'] })
  const events = [{ id: 'e', document, link: 'http://lab/event/e' }]
  const told = { ...notice, rule: `r ${text}`, why: text }
  await channel.send({ id: 'd', notice: told, subject: text, text: '', html: '', events }, '')
  return JSON.parse(sink.requests[0]!.body)
}

describe('what a chat room is sent', () => {
  it('is no Markdown for Teams: no TextBlock, and no link but the one to the event', async () => {
    const body = await bodyOf('teams')
    const { content } = body.attachments[0]
    expect(content.body.length).toBe(3)
    for (const block of content.body) {
      expect(block.type).toBe('RichTextBlock')
      for (const run of block.inlines)
        expect(run).toMatchObject({ type: 'TextRun', text: expect.any(String) })
    }
    expect(content.body[2].inlines[0].text).toContain('[Click me](https://evil.example/login)')
    expect(content.body[2].inlines[0].text).toContain('\\u202eabc next')
    expect(JSON.stringify(content)).not.toContain('"TextBlock"')
    expect(content.actions).toEqual([{ type: 'Action.OpenUrl', title: 'Event', url: 'http://lab/event/e' }])
  })

  it('makes no link and mentions nobody in Slack, but for the link to the event', async () => {
    const { text: summary, blocks, ...rest } = await bodyOf('slack')
    expect(rest).toEqual({ unfurl_links: false, unfurl_media: false })
    const sections = blocks.slice(1).map((block: { text: { text: string } }) => block.text)
    for (const section of sections) expect(section).toMatchObject({ type: 'mrkdwn', verbatim: true })
    const links = [summary, ...sections.map((section: { text: string }) => section.text)]
      .join('\n')
      .match(/<[^>]*>/g)
    expect(links).toHaveLength(1)
    expect(links![0]).toMatch(/^<http:\/\/lab\/event\/e\|/)
  })
})
