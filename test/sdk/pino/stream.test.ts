import { EventClient } from '@madsci-events/sdk'
import { createEventId, type Event } from '@madsci-events/sdk/event'
import { createPinoStream, traceMixin } from '@madsci-events/sdk/pino'
import { startTestReceiver, type TestReceiver } from '@madsci-events/sdk/testing'
import pino from 'pino'
import pino9 from 'pino-9'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let receiver: TestReceiver
beforeEach(async () => {
  receiver = await startTestReceiver()
})
afterEach(() => receiver.close())

/** The events of what `log` logs, through a stream in this thread. */
async function eventsOf(
  log: (logger: pino.Logger) => void,
  options: pino.LoggerOptions = {},
  create: typeof pino = pino,
): Promise<Event[]> {
  const stream = createPinoStream({ url: receiver.url, name: 'service' })
  const logger = create({ base: null, ...options }, stream)
  log(logger)
  await new Promise((resolve) => stream.end(resolve))
  return receiver.events()
}

for (const [version, create] of [
  ['10', pino],
  ['9', pino9 as unknown as typeof pino],
] as const) {
  describe(`lines of pino ${version}`, () => {
    it('the logger says under which names its message, error and data are', async () => {
      const workflow_id = createEventId()
      const options = { messageKey: 'text', errorKey: 'failure', nestedKey: 'payload' }
      const events = await eventsOf(
        (logger) => {
          logger.error({ failure: new TypeError('jam'), workflow_id, tips: 3, level: 10 }, 'stuck')
          logger.child({ arm: 2 }).error(new RangeError('too far'))
        },
        options,
        create,
      )
      expect(events.map(({ log_level, source, event_data }) => ({ log_level, source, event_data }))).toEqual([
        {
          log_level: 40,
          source: { workflow_id },
          event_data: {
            message: 'stuck',
            tips: 3,
            level: 10,
            exception: expect.objectContaining({ type: 'TypeError', message: 'jam' }),
          },
        },
        {
          log_level: 40,
          source: {},
          event_data: {
            message: 'too far',
            arm: 2,
            exception: expect.objectContaining({ type: 'RangeError', message: 'too far' }),
          },
        },
      ])
    })

    it('levels are those of MADSci and of OpenTelemetry', async () => {
      const events = await eventsOf(
        (logger) => {
          for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const)
            logger[level](level)
          ;(logger as unknown as { notice(text: string): void }).notice('notice')
        },
        { level: 'trace', customLevels: { notice: 35 } },
        create,
      )
      expect(
        events.map(({ event_data, log_level, event_type, otel }) => [
          (event_data as { message: string }).message,
          log_level,
          event_type,
          otel?.severity_number,
          otel?.severity_text,
        ]),
      ).toEqual([
        ['trace', 10, 'log_debug', 1, 'TRACE'],
        ['debug', 10, 'log_debug', undefined, undefined],
        ['info', 20, 'log_info', undefined, undefined],
        ['warn', 30, 'log_warning', undefined, undefined],
        ['error', 40, 'log_error', undefined, undefined],
        ['fatal', 50, 'log_critical', undefined, undefined],
        ['notice', 20, 'log_info', 10, 'NOTICE'],
      ])
    })

    it('bindings, errors, mixins, redaction and serializers are kept', async () => {
      const events = await eventsOf(
        (logger) => {
          const child = logger.child({ module: 'arm' })
          child.info({ volume: 50, password: 'secret', big: 9007199254740993n }, 'moved %d', 3)
          child.error(new TypeError('jam'))
          child.error(
            { err: Object.assign(new Error('low'), { code: 'E7', cause: new Error('deep') }), tip: 1 },
            'failed',
          )
          child.info({ message: 'own' }, 'text')
          child.info({ plate: { id: 4 } })
          child.info({ msg: { not: 'text' } })
        },
        {
          mixin: () => ({ request: 'r1' }),
          redact: ['password'],
          serializers: { plate: (plate: { id: number }) => `plate-${plate.id}` },
        },
        create,
      )
      const rest = { module: 'arm', request: 'r1' }
      expect(events.map((event) => event.event_data)).toEqual([
        { message: 'moved 3', ...rest, volume: 50, password: '[Redacted]', big: 9007199254740993n },
        {
          message: 'jam',
          ...rest,
          exception: {
            type: 'TypeError',
            message: 'jam',
            stacktrace: expect.stringContaining('stream.test'),
          },
        },
        {
          message: 'failed',
          ...rest,
          tip: 1,
          exception: expect.objectContaining({
            type: 'Error',
            code: 'E7',
            message: expect.stringContaining('low'),
          }),
        },
        { message: 'text', data: { message: 'own', ...rest } },
        { ...rest, plate: 'plate-4' },
        { ...rest, msg: { not: 'text' } },
      ])
    })

    it("MADSci's fields are recognised, and what only looks like them is data", async () => {
      const id = createEventId()
      const trace_id = '0af7651916cd43dd8448eb211c80319c'
      const events = await eventsOf(
        (logger) => {
          const node = logger.child({ node_id: id })
          node.warn(
            {
              event_id: id,
              event_type: 'action_failed',
              alert: true,
              workflow_id: id,
              event_data: { action: 'transfer' },
              trace_id,
              span_id: 'b7ad6b7169203331',
              trace_flags: '01',
            },
            'jam',
          )
          logger.info({ source: { lab_id: id, user_id: null }, event_data: [1, 2] })
          logger.info({
            node_id: 'arm-1',
            event_type: 'made_up',
            alert: 'yes',
            event_id: 5,
            trace_id: 'x',
            source: 'A1',
          })
          logger.info({ source: { lab_id: 'lab' } }, 'no id')
        },
        {},
        create,
      )
      expect(events[0]).toMatchObject({
        event_id: id,
        event_type: 'action_failed',
        log_level: 30,
        alert: true,
        source: { node_id: id, workflow_id: id },
        event_data: { message: 'jam', action: 'transfer' },
        trace_id,
        span_id: 'b7ad6b7169203331',
      })
      expect(events[1]).toMatchObject({ source: { lab_id: id }, event_data: [1, 2] })
      expect(events[2]).toMatchObject({
        event_type: 'log_info',
        alert: false,
        source: {},
        event_data: {
          node_id: 'arm-1',
          event_type: 'made_up',
          alert: 'yes',
          event_id: 5,
          trace_id: 'x',
          source: 'A1',
        },
      })
      expect(events[3]!.event_data).toEqual({ message: 'no id', source: { lab_id: 'lab' } })
    })

    it('times are those of the lines, in every form that pino writes', async () => {
      const { isoTime, unixTime, epochTime, nullTime } = create.stdTimeFunctions
      for (const timestamp of [isoTime, epochTime, unixTime]) {
        receiver.clear()
        const before = Date.now()
        const [event] = await eventsOf((logger) => logger.info('now'), { timestamp }, create)
        expect(Math.abs(Date.parse(event!.event_timestamp) - before)).toBeLessThan(1500)
        expect(event!.event_data).toEqual({ message: 'now' })
      }
      receiver.clear()
      const [event] = await eventsOf((logger) => logger.info('now'), { timestamp: nullTime }, create)
      expect(Math.abs(Date.parse(event!.event_timestamp) - Date.now())).toBeLessThan(1500)
      receiver.clear()
      const fixed = () => ',"time":"2026-01-02T03:04:05.678Z"'
      const [old] = await eventsOf((logger) => logger.info('then'), { timestamp: fixed }, create)
      expect(old!.event_timestamp).toBe('2026-01-02T03:04:05.678000Z')
    })

    it('a level formatted as its label, and lines that are no JSON objects', async () => {
      const events = await eventsOf(
        (logger) => logger.warn('low'),
        { formatters: { level: (label) => ({ level: label.toUpperCase() }) } },
        create,
      )
      expect(events[0]).toMatchObject({ log_level: 30, event_data: { message: 'low' } })
      const stream = createPinoStream({ url: receiver.url })
      for (const text of ['plain text\n[1]\n"te', 'xt"\n\n{"level":50,"msg":"é', '💡"}\nlast without an end'])
        stream.write(text)
      await new Promise((resolve) => stream.end(resolve))
      const later = receiver.events().slice(1)
      expect(later.map((event) => [event.log_level, event.event_data])).toEqual([
        [20, { message: 'plain text' }],
        [20, { message: '[1]' }],
        [20, { message: 'text' }],
        [40, { message: 'é💡' }],
        [20, { message: 'last without an end' }],
      ])
    })

    it('traceMixin puts the trace and the ids around into the line', async () => {
      await using node = new EventClient({ url: receiver.url })
      const workflow_id = createEventId()
      await eventsOf(
        (logger) => {
          node.action('transfer', { workflow_id }, () => logger.info('inside'))
          logger.info('outside')
        },
        { mixin: traceMixin },
        create,
      )
      await node.flush()
      const [start] = receiver.events('action_start')
      const [inside] = receiver.events({ 'event_data.message': 'inside' })
      expect(inside).toMatchObject({
        trace_id: start!.trace_id,
        span_id: start!.span_id,
        source: { workflow_id },
      })
      expect(inside!.event_data).toEqual({ message: 'inside' })
      expect(receiver.events({ 'event_data.message': 'outside' })[0]).toMatchObject({
        trace_id: null,
        source: {},
      })
    })
  })
}
