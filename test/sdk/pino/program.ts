import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import type { PinoOptions } from '@madsci-events/sdk/pino'
import type pino from 'pino'

/**
 * A program that logs through pino's transport, and ends in one of the ways in which programs end.
 *
 *     node program.ts pino|pino-9 COUNT return|exit|throw|reject|wait|kill-worker|several OPTIONS
 */
interface ThreadStream {
  worker: Worker
  on(name: 'error', listener: (error: Error) => void): void
}

const [version, count, end, options] = process.argv.slice(2) as [string, string, string, string]
const { default: create } = (await import(version)) as { default: typeof pino }
const target =
  version === 'pino' ? '@madsci-events/sdk/pino' : fileURLToPath(new URL('target.mjs', import.meta.url))
const parsed = JSON.parse(options) as PinoOptions
const logger = create({
  base: null,
  transport:
    end === 'several'
      ? {
          targets: [
            { target, options: parsed, level: 'warn' },
            { target: 'pino/file', level: 'info' },
          ],
        }
      : { target, options: parsed },
  ...(end === 'several' && { messageKey: 'text', errorKey: 'problem' }),
})
for (let number = 0; number < Number(count); number++) logger.info({ number }, 'line')
if (end === 'several') logger.warn({ problem: new Error('jam') }, 'last')
if (end === 'exit') process.exit(3)
if (end === 'throw') throw new Error('thrown')
if (end === 'reject') void Promise.reject(new Error('rejected'))
if (end === 'kill-worker') {
  const stream = (logger as unknown as { [key: symbol]: unknown })[create.symbols.streamSym] as ThreadStream
  stream.on('error', (error: Error) => process.stdout.write(`${error.message}\n`))
  await new Promise((resolve) => logger.flush(resolve))
  await stream.worker.terminate()
}
if (end === 'wait') {
  await new Promise((resolve) => logger.flush(resolve))
  process.stdout.write('flushed\n')
  await sleep(60_000)
}
