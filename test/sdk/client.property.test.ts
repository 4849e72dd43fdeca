import { EventClient } from '@madsci-events/sdk'
import { type Event, isUlid } from '@madsci-events/sdk/event'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventArbitrary, valueArbitrary } from '../support/arbitrary.ts'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'

let endpoint: OtlpEndpoint
beforeAll(async () => {
  diag.setLogger({ error() {}, warn() {}, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN)
  endpoint = await startOtlpEndpoint()
})
afterAll(async () => {
  await endpoint.close()
  diag.disable()
})

/** Sends in one go and gives what arrived, without what tells of the sender. */
async function roundTrip(events: EventClient, emit: () => void): Promise<Event[]> {
  endpoint.events.length = 0
  emit()
  await events.flush()
  return endpoint.events.map(({ otel: _, ...event }) => event)
}

describe.each(['http/json', 'http/protobuf'] as const)('through OpenTelemetry and %s', (protocol) => {
  it('every event that an SDK can emit comes back equal', async () => {
    await using events = new EventClient({ url: endpoint.url, protocol })
    await fc.assert(
      fc.asyncProperty(fc.array(eventArbitrary, { minLength: 1, maxLength: 30 }), async (sent) => {
        const arrived = await roundTrip(events, () => {
          for (const event of sent) expect(events.log(event)).toBe(event.event_id)
        })
        expect(arrived).toEqual(sent)
      }),
      { numRuns: 60 },
    )
    expect(events.stats.altered).toBe(0)
  })

  it('every value handed over as data comes back equal', async () => {
    await using events = new EventClient({ url: endpoint.url, protocol })
    await fc.assert(
      fc.asyncProperty(fc.array(valueArbitrary, { minLength: 1, maxLength: 30 }), async (values) => {
        const arrived = await roundTrip(events, () => {
          for (const value of values) events.info('text', [value])
        })
        expect(arrived.map((event) => event.event_data)).toEqual(
          values.map((value) => ({ message: 'text', data: [value] })),
        )
      }),
      { numRuns: 60 },
    )
  })
})

function trap(): never {
  throw new Error('trapped')
}

const cyclic: { [key: string]: unknown } = { name: 'cyclic' }
cyclic.self = [cyclic]
const deep = () => {
  let value: unknown = 1
  for (let i = 0; i < 10_000; i++) value = [value]
  return value
}
const shared = () => {
  let value: unknown = 'leaf'
  for (let i = 0; i < 60; i++) value = [value, value]
  return value
}
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const oddities: { [name: string]: () => unknown } = {
  undefined: () => undefined,
  null: () => null,
  symbol: () => Symbol('s'),
  function: () => trap,
  bigint: () => 2n ** 70n,
  cyclic: () => cyclic,
  deep,
  'shared a million million times': shared,
  'long and empty': () => new Array(2 ** 31),
  'revoked proxy': revoked,
  'a proxy that throws at everything': () =>
    new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap }),
  'throwing getters': () => ({
    get event_type() {
      return trap()
    },
    get event_data() {
      return trap()
    },
    get source() {
      return trap()
    },
  }),
  'throwing toJSON': () => ({ toJSON: trap }),
  'throwing toString': () => ({ toString: trap }),
  'throwing source': () => ({ source: new Proxy({}, { ownKeys: trap }) }),
  'no prototype': () => Object.create(null),
  'an error that lies': () => Object.assign(new Error('x'), { message: cyclic, name: 1n, stack: revoked() }),
  'an error whose members throw': () =>
    Object.defineProperty(new Error('x'), 'message', { get: trap, enumerable: true }),
  map: () => new Map<unknown, unknown>([[cyclic, cyclic]]),
  set: () => new Set([new Set([1n])]),
  'invalid date': () => new Date(Number.NaN),
  'date as time': () => ({ event_timestamp: new Date('2026-01-01') }),
  'far time': () => ({ event_timestamp: 1e300 }),
  bytes: () => new Uint8Array([1, 2]),
  'many bytes': () => new Uint8Array(20 << 20),
  'shared bytes': () => new Uint8Array(new SharedArrayBuffer(4)),
  floats: () => new Float64Array([1, Number.NaN]),
  'long text': () => 'x'.repeat(20 << 20),
  'lone surrogate': () => '\ud800',
  'nul key': () => ({ 'a\0b': 1 }),
  'own constructor': () => ({ constructor: 1, __proto__: { inherited: true } }),
  'odd members': () => ({
    event_id: {},
    event_type: [],
    log_level: 1n,
    alert: 'yes',
    source: 5,
    trace_id: 3,
  }),
  'class instance': () =>
    new (class Pump {
      #state = 1
      volume = this.#state
    })(),
  promise: () => Promise.resolve(1),
  weakmap: () => new WeakMap(),
}
const methods = ['log', 'debug', 'info', 'warning', 'error', 'critical', 'alert'] as const

describe('whatever a program hands over', () => {
  it('no call throws, each gives an id, and each event arrives', async () => {
    await using events = new EventClient({ url: endpoint.url })
    for (const [name, make] of Object.entries(oddities)) {
      const ids: string[] = []
      const arrived = await roundTrip(events, () => {
        ids.push(events.info(make() as never))
        ids.push(events.info('text', make()))
        ids.push(events.log({ event_data: make(), event_id: make(), event_timestamp: make() } as never))
      })
      expect(ids.every(isUlid), name).toBe(true)
      expect(
        arrived.map((event) => event.event_id),
        name,
      ).toEqual(ids)
    }
    expect(events.stats.droppedBy.failed).toBe(0)
  })

  it('no generated value makes any method throw', async () => {
    await using events = new EventClient({ url: endpoint.url, source: {} })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...methods), fc.anything(odd), fc.anything(odd)), {
          maxLength: 20,
        }),
        async (calls) => {
          const ids: string[] = []
          const arrived = await roundTrip(events, () => {
            for (const [method, input, data] of calls) ids.push(events[method](input as never, data))
          })
          expect(arrived.map((event) => event.event_id)).toEqual(ids)
        },
      ),
      { numRuns: 100 },
    )
    expect(events.stats.droppedBy.failed).toBe(0)
  })
})

const odd = {
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
}
