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
    // The clouds' own: metadata and host services.
    '168.63.129.16',
    '::ffff:168.63.129.16',
    'fd00:ec2::254',
    '100.100.100.200',
    '192.0.0.192',
    '198.18.0.1',
    '198.19.255.255',
    '192.0.2.1',
    '203.0.113.9',
    '240.0.0.1',
    // Wrapped in whatever way.
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '2001:0:808:808:0:0:80ff:fffe',
    '2001:db8::200:5efe:10.0.0.1',
    '2a00:1450:4001::200:5efe:a00:1',
    '2a00:1450:4001:0:0:5efe:192.168.0.1',
    '2a00:1450:4001::300:5efe:127.0.0.1',
    'fe80::5efe:8.8.8.8',
    '64:ff9b::168.63.129.16',
    '64:ff9b::169.254.169.254',
    '64:ff9b:1::808:808',
    '64:ff9b:1:a9fe:a9:fe00::',
    '2002:a83f:8110::1',
    '2002:c0a8:1::1',
    '::8.8.8.8',
    '::ffff:0:10.0.0.1',
    '::7f00:1',
    'fec0::1',
    'feff::1',
    '100::1',
    '2001:db8::1',
    '2001:2::1',
    '3fff::1',
    '5f00::1',
    '4000::1',
    'ff0e::1',
  ])('%s is inside', (address) => expect(isInnerAddress(address)).toBe(true))

  it.for([
    '8.8.8.8',
    '168.63.129.17',
    '172.32.0.1',
    '192.169.0.1',
    '100.128.0.1',
    '198.20.0.1',
    '2606:4700::1111',
    '2a00:1450:4001::200:5efe:8.8.8.8',
    '2002:808:808::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
  ])('%s is outside', (address) => expect(isInnerAddress(address)).toBe(false))

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
