import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { startTestReceiver, type TestReceiver } from '@madsci-events/sdk/testing'
import { createWinstonTransport, traceMixin } from '@madsci-events/sdk/winston'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import winston from 'winston'

let receiver: TestReceiver
beforeEach(async () => {
  receiver = await startTestReceiver()
})
afterEach(() => receiver.close())

async function end(logger: winston.Logger): Promise<void> {
  const ended = logger.transports.map(
    (transport) => new Promise((resolve) => transport.once('finish', resolve)),
  )
  logger.end()
  await Promise.all(ended)
}

describe("winston's transport", () => {
  it('takes levels, data, errors, child loggers and the fields of MADSci', async () => {
    const workflow_id = createEventId()
    const logger = winston.createLogger({
      level: 'silly',
      format: winston.format.combine(
        winston.format.errors({ stack: true }),
        winston.format.colorize(),
        winston.format.timestamp(),
        winston.format.splat(),
      ),
      defaultMeta: { service: 'arm' },
      transports: [createWinstonTransport({ url: receiver.url })],
    })
    logger.silly('s')
    logger.warn('low', { tips: 3 })
    logger.error(new TypeError('jam'))
    logger
      .child({ workflow_id })
      .info('moved %d', 3, { event_type: 'action_complete', big: 9007199254740993n })
    await end(logger)
    const events = receiver.events()
    expect(events.map((event) => [event.event_type, event.log_level, event.event_data])).toEqual([
      ['log_debug', 10, { message: 's', service: 'arm' }],
      ['log_warning', 30, { message: 'low', service: 'arm', tips: 3 }],
      [
        'log_error',
        40,
        {
          message: 'jam',
          service: 'arm',
          exception: expect.objectContaining({ stacktrace: expect.stringContaining('transport.test') }),
        },
      ],
      ['action_complete', 20, { message: 'moved 3', service: 'arm', big: 9007199254740993n }],
    ])
    expect(events[0]!.otel).toMatchObject({ severity_number: 1, severity_text: 'SILLY' })
    expect(events[3]!.source).toEqual({ workflow_id })
  })

  it('keeps to its own level, and to silence', async () => {
    const transport = createWinstonTransport({ url: receiver.url, level: 'warn' })
    const logger = winston.createLogger({ level: 'debug', transports: [transport] })
    logger.info('no')
    logger.warn('yes')
    transport.silent = true
    logger.error('no')
    await end(logger)
    expect(receiver.events().map((event) => event.event_data)).toEqual([{ message: 'yes' }])
  })

  it('an event belongs to the action that it is logged in', async () => {
    await using node = new EventClient({ url: receiver.url })
    const logger = winston.createLogger({ transports: [createWinstonTransport({ url: receiver.url })] })
    await node.action('transfer', async () => void logger.info('inside', traceMixin()))
    await node.flush()
    await end(logger)
    const [inside] = receiver.events({ 'event_data.message': 'inside' })
    expect(inside!.trace_id).toBe(receiver.events('action_start')[0]!.trace_id)
  })

  /** What becomes of lines, with these options of the logger and the transport. */
  async function log(
    write: (logger: winston.Logger) => void,
    options: winston.LoggerOptions = {},
    own: Parameters<typeof createWinstonTransport>[0] = {},
  ) {
    const transport = createWinstonTransport({ url: receiver.url, spool: false, ...own })
    const logger = winston.createLogger({ level: 'silly', ...options, transports: [transport] })
    write(logger)
    await end(logger)
    return receiver.events()
  }
  const { format } = winston
  const redact = format((info) => ({ ...info, ...('password' in info && { password: '***' }) }))
  const replacer = (key: string, value: unknown) =>
    key === 'password' ? undefined : key === 'token' ? '***' : value

  it('errors keep their type, causes and the errors within them, however winston hands them on', async () => {
    const inner = new TypeError('inner')
    const events = await log((logger) => {
      logger.error('while moving', new RangeError('too far', { cause: inner }))
      logger.error(new AggregateError([inner, new Error('other')], 'both'))
      logger.error(Object.assign(new SyntaxError('no words', { cause: 'nobody' }), { code: 'E1' }))
    })
    const causes = { type: 'TypeError', message: 'inner', stacktrace: expect.any(String) }
    expect(events.map((event) => event.event_data)).toEqual([
      {
        message: 'while moving too far',
        exception: { type: 'RangeError', message: 'too far', stacktrace: expect.any(String), cause: causes },
      },
      {
        message: 'both',
        exception: {
          type: 'AggregateError',
          message: 'both',
          stacktrace: expect.any(String),
          errors: [causes, expect.objectContaining({ type: 'Error', message: 'other' })],
        },
      },
      {
        message: 'no words',
        code: 'E1',
        exception: {
          type: 'SyntaxError',
          message: 'no words',
          stacktrace: expect.any(String),
          cause: 'nobody',
        },
      },
    ])
  })

  it('an error that format.errors() took apart has the type of its stack', async () => {
    const errors = { format: format.errors({ stack: true, cause: true }) }
    const [event] = await log((logger) => logger.error(new TypeError('jam', { cause: 'dust' })), errors)
    expect(event!.event_data).toMatchObject({
      message: 'jam',
      exception: { type: 'TypeError', message: 'jam', cause: 'dust' },
    })
  })

  it.each([
    ['a format of the transport', {}, { format: redact() }],
    ['a format of the logger', { format: redact() }, {}],
  ])('%s hides what it hides', async (_, options, own) => {
    const [event] = await log(
      (logger) => logger.info('in', { user: 'ada', password: 's3cret' }),
      options,
      own,
    )
    expect(event!.event_data).toEqual({ message: 'in', user: 'ada', password: '***' })
  })

  it('what a JSON format leaves out or replaces is hidden; what it wrote as it was keeps its type', async () => {
    for (const where of ['logger', 'transport']) {
      receiver.clear()
      const json = { format: format.json({ replacer }) }
      const write = (logger: winston.Logger) =>
        logger.info('in', {
          password: 's3cret',
          token: 'x',
          z: { b: 1n, a: new Date(0), password: 's3cret' },
        })
      const [event] = await log(write, where === 'logger' ? json : {}, where === 'transport' ? json : {})
      expect(JSON.stringify(event!.event_data), where).not.toContain('s3cret')
      expect(event!.event_data).toMatchObject({ message: 'in', token: '***' })
    }
    receiver.clear()
    const write = (logger: winston.Logger) =>
      logger.info('as it was', { z: { b: 9007199254740993n, a: [NaN] } })
    const [event] = await log(write, { format: format.json() })
    expect(event!.event_data).toEqual({ message: 'as it was', z: { b: 9007199254740993n, a: [NaN] } })
  })

  it('a format that leaves a line out, or throws, makes no event of it, and the program goes on', async () => {
    const wrong = format((info) => {
      if (info.isWrong) throw new Error('wrong')
      return info.isPrivate ? false : info
    })
    const write = (logger: winston.Logger) => {
      logger.info('private', { isPrivate: true })
      logger.info('wrong', { isWrong: true })
      logger.info('public')
    }
    const events = await log(write, {}, { format: wrong() })
    expect(events.map((event) => event.event_data)).toEqual([{ message: 'public' }])
  })

  it('colours are no part of a message, nor of a level', async () => {
    const colours = format.combine(format.colorize({ all: true, colors: { warn: 'red' } }), format.simple())
    const [event] = await log((logger) => logger.warn('low', { tips: 3 }), { format: colours })
    expect(event).toMatchObject({ log_level: 30, event_data: { message: 'low', tips: 3 } })
  })

  it('logstash() moves the message and the time, which stay what they are', async () => {
    const logstash = format.combine(
      format.timestamp({ format: () => '2026-01-02T03:04:05.678Z' }),
      format.logstash(),
    )
    const [event] = await log((logger) => logger.error('stashed', { well: 'A1' }), { format: logstash })
    expect(event).toMatchObject({ log_level: 40, event_data: { message: 'stashed', well: 'A1' } })
    expect(event!.event_timestamp).toContain('2026-01-02T03:04:05.678')
  })
})
