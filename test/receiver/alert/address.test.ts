import { describe, expect, it } from 'vitest'
import { isInnerAddress } from '../../../receiver/src/alert/address.ts'
import { createWebhookChannel } from '../../../receiver/src/alert/webhook.ts'

describe('addresses of the inner network', () => {
  it.for([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1%eth0',
    'fd00::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::10.0.0.1',
    '2002:7f00:1::1',
    '2001:db8::5efe:192.168.0.1',
    'localhost',
  ])('%s is inside', (address) => expect(isInnerAddress(address)).toBe(true))

  it.for(['8.8.8.8', '172.32.0.1', '192.169.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
    '%s is outside',
    (address) => expect(isInnerAddress(address)).toBe(false),
  )

  it.for([
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::ffff:7f00:1]/',
    'http://localhost/',
    'http://127.1/',
  ])('%s is not told, whatever way it is written', async (url) => {
    const channel = createWebhookChannel('w', { kind: 'webhook', url, secret: undefined, privateHosts: [] })
    const notice = { key: '[]', labels: {}, ids: [], atMs: 0 } as never
    const message = { id: 'm', notice, subject: '', text: '', html: '', events: [] }
    expect(await channel.send(message, '')).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('inner network'),
    })
  })
})
