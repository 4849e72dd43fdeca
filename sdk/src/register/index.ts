import { basename, extname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { getStringListFromEnv } from '@opentelemetry/core'
import { EventClient } from '../client.ts'
import { diag } from '../diagnostic.ts'
import { readEnvironment, readIdsFromEnv } from '../environment.ts'
import { captureConsole } from './console.ts'
import { captureErrors } from './error.ts'
import { captureLogs } from './logs.ts'

/**
 * `node --import @madsci-events/sdk/register app.js`: events of a program that knows nothing of them. What becomes an
 * event says MADSCI_REGISTER, a list of
 *
 * | name | what |
 * | --- | --- |
 * | `errors` | the error that ends the program |
 * | `logs` | what it logs through `@opentelemetry/api` |
 * | `console` | what it writes with `console` |
 *
 * and everything else the variables of a client. Nothing here ends the program, or holds it up for more than two seconds.
 */
const key = Symbol.for('@madsci-events/sdk register')
const known = ['errors', 'logs', 'console']
// An endpoint that is away must not hold up a program that knows nothing of it; its events are in the spool.
const flushTimeoutMs = 2000

const registry = globalThis as { [key]?: EventClient }

// Workers load what their process loads, pino's among them: their errors and their console come to the main thread.
if (isMainThread && registry[key] === undefined) register()

function register(): void {
  try {
    const name = readName()
    const events = new EventClient({ flushTimeoutMs, ...(name !== undefined && { name }) })
    registry[key] = events
    const wanted = getStringListFromEnv('MADSCI_REGISTER') ?? ['errors', 'logs']
    for (const one of wanted)
      if (!known.includes(one)) diag.warn(`MADSCI_REGISTER: ${one} is none of ${known.join(', ')}`)
    if (wanted.includes('errors')) captureErrors(events, readIdsFromEnv())
    if (wanted.includes('logs')) captureLogs(name, { flushTimeoutMs })
    if (wanted.includes('console')) captureConsole(events)
  } catch (error) {
    diag.error(`madsci-events: the program runs without events: ${error}`)
  }
}

/** That of the script, unless the environment has one. */
function readName(): string | undefined {
  const isNamed = readEnvironment().resource['service.name'] !== undefined
  const [, script] = process.argv
  return isNamed || script === undefined ? undefined : basename(script, extname(script))
}

/** The client behind it all, for a program that wants to say more. */
export const events: EventClient | undefined = registry[key]
