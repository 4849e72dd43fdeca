import { EventClient } from '@madsci-events/sdk'
import { createPinoStream } from '@madsci-events/sdk/pino'
import { startTestReceiver } from '@madsci-events/sdk/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readPinoLine } from '../../sdk/src/pino/line.ts'
import { anyCharacter } from '../support/character.ts'

const names = [
  'level',
  'time',
  'msg',
  'err',
  'event_type',
  'event_data',
  'event_id',
  'alert',
  'source',
  'node_id',
]
const members = fc.dictionary(
  fc.oneof(fc.constantFrom(...names, 'trace_id', '__proto__'), fc.string()),
  fc.jsonValue(),
)
const lines = fc.oneof(
  members.map((value) => JSON.stringify(value)),
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.string({ unit: anyCharacter }),
)

describe('whatever a logging library writes', () => {
  it('each line is an event', () => {
    fc.assert(
      fc.property(lines, (line) => {
        const { event, severity } = readPinoLine(line, {})
        expect(severity.number).toBeGreaterThanOrEqual(1)
        expect(severity.number).toBeLessThanOrEqual(24)
        expect(event).toHaveProperty('event_data')
      }),
      { numRuns: 1000 },
    )
  })

  it('and each arrives, once', async () => {
    await using receiver = await startTestReceiver()
    const stream = createPinoStream({ url: receiver.url, name: 'property', spool: false })
    const written = fc
      .sample(lines, 500)
      .map((line) => line.replaceAll('\n', ' '))
      .filter((line) => line !== '' && !line.includes('event_id'))
    for (const line of written) stream.write(`${line}\n`)
    await new Promise((resolve) => stream.end(resolve))
    expect(receiver.events()).toHaveLength(written.length)
  })
})

describe('whatever an activity is given', () => {
  it('the caller gets what its function gives', async () => {
    await using receiver = await startTestReceiver()
    await using events = new EventClient({ url: receiver.url, spool: false })
    const kinds = ['action', 'workflow', 'step', 'experiment'] as const
    const call = (kind: (typeof kinds)[number], ...args: unknown[]) =>
      (events[kind] as (...args: unknown[]) => unknown).apply(events, args)
    let count = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.anything(),
        fc.anything(),
        fc.anything(),
        (kind, name, options, value) => {
          // A function in place of options is the one that is called; a promise is waited for.
          fc.pre(typeof options !== 'function')
          const isThenable = typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
          fc.pre(!isThenable)
          count++
          expect(
            Object.is(
              call(kind, name, options, () => value),
              value,
            ),
          ).toBe(true)
        },
      ),
      { numRuns: 300 },
    )
    await events.flush()
    const ends = receiver.events((event) => /_(complete|failed)$/.test(event.event_type))
    expect(ends.length).toBeLessThanOrEqual(count)
    expect(ends.length).toBeGreaterThan(count / 2)
  })
})
