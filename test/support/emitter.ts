// A program that emits without pause, and writes down each event once its call has returned: emitter.ts <url> <spoolDir> <first>
import { EventClient } from '@madsci-events/sdk'
import { textOf } from './emitted.ts'

const [url, spoolDir, first] = process.argv.slice(2) as [string, string, string]
const events = new EventClient({ url, spoolDir, name: 'killed', scheduleDelayMs: 20, maxBatchEvents: 100 })
let number = Number(first)
process.once('SIGTERM', () => process.exit())
setInterval(() => {
  for (let i = 0; i < 10; i++, number++) {
    const id = events.info('x', { number, text: textOf(number) })
    // Standard output is a pipe: on Linux this returns when the pipe has it.
    process.stdout.write(`${id} ${number}\n`)
  }
}, 2)
