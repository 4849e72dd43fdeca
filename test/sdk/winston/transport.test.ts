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
})
