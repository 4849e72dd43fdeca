import { readExportReply } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeSuccess } from '../../../receiver/src/otlp/reply.ts'
import { foreignReplies } from '../../support/foreign-reply.ts'

const types = { json: 'application/json', protobuf: 'application/x-protobuf' } as const

it('what a receiver answers is read as it was meant, in both encodings', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('json', 'protobuf'),
      fc.integer({ min: 1, max: 2 ** 40 }),
      fc.string({ unit: 'grapheme' }),
      (encoding, rejectedCount, message) => {
        const body = encodeSuccess(encoding, { rejectedCount, message })
        const meant = { rejected: rejectedCount, message }
        expect(readExportReply(body, types[encoding], '')).toEqual(meant)
        expect(readExportReply(body, `${types[encoding].toUpperCase()}; charset=utf-8`, '')).toEqual(meant)
        // Without a type it is that of the request.
        expect(readExportReply(body, null, types[encoding])).toEqual(meant)
        expect(readExportReply(encodeSuccess(encoding), types[encoding], '')).toEqual({
          rejected: 0,
          message: '',
        })
      },
    ),
  )
})

it('an empty body is a success whatever its type; a page, a text or other JSON is none', () => {
  const nothing = new Uint8Array()
  for (const type of [null, 'text/html', 'application/json'])
    expect(readExportReply(nothing, type, types.json)).toEqual({ rejected: 0, message: '' })
  for (const [body, type] of foreignReplies)
    expect(readExportReply(Buffer.from(body as string), type, types.protobuf), type).toBeUndefined()
})

it('any bytes of any type are read or are none, and nothing throws', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom(...Object.values(types)), (body, type) => {
      const reply = readExportReply(body, type, type)
      if (reply) expect(Number.isSafeInteger(reply.rejected) && reply.rejected >= 0).toBe(true)
    }),
  )
})
