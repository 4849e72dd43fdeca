import { runInNewContext } from 'node:vm'
import { EventClient } from '@madsci-events/sdk'
import type { Value } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { readInput } from '../../sdk/src/input.ts'
import { toValue } from '../../sdk/src/value.ts'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const none = { onAlter: (why: string) => expect.fail(why) }
const foreign = (source: string) => runInNewContext(source, { structuredClone, ArrayBuffer }) as unknown

describe('values of another realm', () => {
  it.each<[source: string, value: unknown]>([
    [
      'new TypeError("x")',
      { type: 'TypeError', message: 'x', stacktrace: expect.stringContaining('TypeError: x') },
    ],
    [
      'Object.assign(new Error("no file", { cause: new RangeError("deep") }), { code: "ENOENT", errno: -2 })',
      {
        type: 'Error',
        message: 'no file',
        code: 'ENOENT',
        errno: -2,
        cause: { type: 'RangeError', message: 'deep', stacktrace: expect.any(String) },
        stacktrace: expect.any(String),
      },
    ],
    [
      'new AggregateError([new Error("a"), "b"], "both")',
      expect.objectContaining({ message: 'both', errors: [expect.objectContaining({ message: 'a' }), 'b'] }),
    ],
    [
      'class Jam extends Error { constructor() { super("stuck"); this.name = "Jam"; this.node = "arm" } }; new Jam()',
      expect.objectContaining({ type: 'Jam', message: 'stuck', node: 'arm' }),
    ],
    [
      'Object.create(Error.prototype, { message: { value: "old style" } })',
      { type: 'Error', message: 'old style' },
    ],
    ['new Map([["a", 1]])', { a: 1 }],
    ['new Map([[{}, 1]])', [[{}, 1]]],
    ['new Set([1, 2])', [1, 2]],
    ['new Date(0)', '1970-01-01T00:00:00.000Z'],
    ['/a+/g', '/a+/g'],
    ['new Uint8Array([1, 2])', new Uint8Array([1, 2])],
    ['new Uint8Array([1, 2]).buffer', new Uint8Array([1, 2])],
    ['new DataView(new Uint8Array([1, 2, 3]).buffer, 1)', new Uint8Array([2, 3])],
    ['new Float64Array([0.5])', [0.5]],
    ['new String("x")', 'x'],
    ['[1, { a: [2] }]', [1, { a: [2] }]],
  ])('%s', (source, value) => {
    expect(toValue(foreign(source), none)).toEqual(value)
  })

  it('an exception of the web is an error', () => {
    expect(toValue(AbortSignal.abort().reason, none)).toMatchObject({
      type: 'AbortError',
      message: 'This operation was aborted',
    })
  })

  it('an error is what an event says, whatever its realm', () => {
    const error = foreign('new TypeError("pump stuck")')
    expect(readInput(error, undefined, none)).toMatchObject({
      event_data: { message: 'pump stuck', exception: { type: 'TypeError' } },
    })
  })
})

describe('lists', () => {
  let endpoint: OtlpEndpoint
  async function arrive(data: object): Promise<{ [key: string]: Value }> {
    endpoint = await startOtlpEndpoint()
    cleanups.push(() => endpoint.close())
    const events = new EventClient({ url: endpoint.url, spool: false })
    cleanups.push(() => events.close())
    events.info('x', data)
    await events.flush()
    expect(events.stats).toMatchObject({ exported: 1, dropped: 0 })
    return endpoint.events[0]!.event_data as { [key: string]: Value }
  }

  it('of any length are cut, and their event is sent', async () => {
    const { message, list } = await arrive({ list: new Array(3_000_000).fill(1) })
    expect(message).toBe('x')
    expect((list as unknown[]).slice(0, 3)).toEqual([1, 1, 1])
  })

  it('of pairs stand for a Map whose keys are no names, or would be one', async () => {
    const key = { well: 'A1' }
    const maps = {
      a: new Map([['x', 1]]),
      b: new Map<unknown, string>([
        [1, 'a'],
        ['1', 'b'],
      ]),
      c: new Map([[key, 1]]),
    }
    expect(await arrive(maps)).toEqual({
      message: 'x',
      a: { x: 1 },
      b: [
        [1, 'a'],
        ['1', 'b'],
      ],
      c: [[key, 1]],
    })
  })

  it('with holes take no longer than what is sent of them', async () => {
    const list: number[] = []
    list[2 ** 28] = 1
    const startedMs = performance.now()
    const { message } = await arrive({ list })
    expect(message).toBe('x')
    expect(performance.now() - startedMs).toBeLessThan(5000)
  })
})
