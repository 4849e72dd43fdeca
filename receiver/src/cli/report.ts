import { EventError } from '@madsci-events/sdk/event'
import type { CommandCall } from './call.ts'
import { openOutput } from './output-file.ts'
import { ask, baseUrl } from './remote.ts'
import { type Run, toReportHtml } from './report-html.ts'
import type { Terminal } from './terminal.ts'

const kinds = ['workflow', 'experiment']

/** One run of a running receiver as a file to hand on: HTML that asks nothing of anybody. */
export async function report(call: CommandCall, terminal: Terminal): Promise<number> {
  const [what = '', id = ''] = call.arguments
  if (what !== 'run' && !kinds.includes(what)) {
    terminal.stderr.line(`'${what}' is no report; there is: run, or its kind: ${kinds.join(', ')}`)
    return 2
  }
  const run = await readRun(what === 'run' ? kinds : [what], id, baseUrl(call, terminal))
  if (call.options.json) {
    terminal.stdout.write(`${JSON.stringify(run)}\n`)
    return 0
  }
  const html = toReportHtml(run)
  const { output = `run-${id.replace(/[^\w-]/g, '_').slice(0, 100)}.html` } = call.options
  if (output === '-') {
    terminal.stdout.write(html)
    return 0
  }
  const path = String(output)
  await new Promise<void>((resolve, reject) => {
    openOutput(path).on('error', reject).on('finish', resolve).end(html)
  })
  terminal.stdout.line(path)
  return 0
}

/** The run of that id, of the first kind that has one. */
async function readRun(wanted: readonly string[], id: string, base: URL): Promise<Run> {
  let refused: unknown
  for (const kind of wanted)
    try {
      const answer = await ask(new URL(`run/${kind}/${encodeURIComponent(id)}`, base), {
        headers: { accept: 'application/json' },
      })
      return (await answer.json()) as Run
    } catch (error) {
      if (!(error instanceof EventError) || error.code !== 'EVT_REFUSED') throw error
      refused ??= error
    }
  throw refused
}
