import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { SMTPServer } from 'smtp-server'
import { afterEach, expect, it } from 'vitest'
import type { Message } from '../../../receiver/src/alert/channel.ts'
import { createEmailChannel } from '../../../receiver/src/alert/email.ts'
import { notice } from '../../support/notice.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

it('the importance that is set counts, else it is high for what fires and normal for the rest', async () => {
  const mails: string[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData: (stream, _session, done) => {
      void text(stream).then((mail) => {
        mails.push(mail)
        done()
      })
    },
  })
  const listener = server.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  cleanups.push(() => new Promise<void>((resolve) => server.close(resolve)))
  const importanceOf = async (kind: 'firing' | 'resolved', defaultImportance: string | undefined) => {
    const channel = createEmailChannel('c', {
      smtpServer: '127.0.0.1',
      smtpPort: (listener.address() as AddressInfo).port,
      smtpUsername: undefined,
      smtpPassword: undefined,
      useTls: false,
      useSsl: false,
      tlsCaFile: undefined,
      sender: 'lab@lab.example',
      defaultImportance,
      emailAddresses: ['ada@lab.example'],
    })
    const told = { ...notice, kind } as Message['notice']
    const message: Message = {
      id: `${mails.length}`,
      notice: told,
      subject: 's',
      text: 't',
      html: '',
      events: [],
    }
    expect(await channel.send(message, 'ada@lab.example')).toEqual({ kind: 'delivered' })
    channel.close()
    const mail = mails.at(-1)!
    return ['Importance', 'X-Priority'].map((name) => new RegExp(`^${name}: (\\S+)`, 'm').exec(mail)?.[1])
  }
  expect(await importanceOf('firing', undefined)).toEqual(['High', '1'])
  expect(await importanceOf('resolved', undefined)).toEqual(['Normal', '3'])
  expect(await importanceOf('firing', '')).toEqual(['High', '1'])
  expect(await importanceOf('firing', 'Low')).toEqual(['Low', '5'])
  expect(await importanceOf('firing', 'Normal')).toEqual(['Normal', '3'])
  expect(await importanceOf('resolved', 'High')).toEqual(['High', '1'])
})
