import { resolve } from 'node:path'
import { countOf } from '../plural.ts'
import { showUrl } from '../url.ts'
import type { CommandCall } from './call.ts'
import type { Terminal } from './terminal.ts'

interface Sum {
  name: string
  endpoint: string
  state: string
  events: number
  bytes: number
  damaged: number
}

/** Prints what waits in a spool of the SDK: each event as OTLP/JSON, or how many there are. Touches nothing. */
export async function spool(
  { arguments: [folder], options }: CommandCall,
  terminal: Terminal,
): Promise<number> {
  const { stdout, stderr } = terminal
  // The SDK is large, and no other command needs it.
  const { readSpool } = await import('@madsci-events/sdk/spool')
  const sums = new Map<string, Sum>()
  for await (const segment of readSpool(folder && resolve(terminal.workingDirectory, folder))) {
    const { name, state, count, bytes, isDamaged } = segment
    const endpoint = showUrl(segment.endpoint)
    const key = JSON.stringify([name, endpoint, state])
    const sum = sums.get(key) ?? { name, endpoint, state, events: 0, bytes: 0, damaged: 0 }
    sum.events += count
    sum.bytes += bytes
    sum.damaged += isDamaged ? 1 : 0
    sums.set(key, sum)
    if (options.count || terminal.stopping.aborted) continue
    for (const line of segment.lines()) if (stdout.write(`${line}\n`) === false) await stdout.drained()
  }
  const all = [...sums.values()]
  if (options.json) (options.count ? stdout : stderr).write(`${JSON.stringify({ spool: all })}\n`)
  else for (const sum of all) (options.count ? stdout : stderr).line(spoolLine(sum))
  return 0
}

const states: { [state: string]: string } = {
  used: 'its program runs',
  left: 'the next program of this name sends them',
  corrupt: 'set aside, never sent',
  refused: 'refused by the receiver, never sent again',
}

function spoolLine({ name, endpoint, state, events, bytes, damaged }: Sum): string {
  const more = damaged > 0 ? `, ${damaged} damaged` : ''
  return `${name} to ${endpoint}: ${countOf(events, 'event')}, ${bytes} bytes${more}; ${states[state]}`
}
