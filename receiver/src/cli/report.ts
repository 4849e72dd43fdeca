import { EventError, isUlid } from '@madsci-events/sdk/event'
import type { CommandCall } from './call.ts'
import { openOutput } from './output-file.ts'
import { ask, baseUrl } from './remote.ts'
import { type Run, toReportHtml } from './report-html.ts'
import type { Terminal } from './terminal.ts'

const kinds = ['workflow', 'experiment']

/** One run of a running receiver as a file to hand on: HTML that asks nothing of anybody. */
export async function report(call: CommandCall, terminal: Terminal): Promise<number> {
  const [what = '', given = ''] = call.arguments
  if (what !== 'run' && !kinds.includes(what)) {
    terminal.stderr.line(`'${what}' is no report; there is: run, or its kind: ${kinds.join(', ')}`)
    return 2
  }
  const base = baseUrl(call, terminal)
  const wanted = what === 'run' ? kinds : [what]
  const run = await findRun(wanted, given, base)
  if (call.options.json) {
    terminal.stdout.write(`${JSON.stringify(run)}\n`)
    return 0
  }
  const html = toReportHtml(run)
  const { output = `run-${run.id.replace(/[^\w-]/g, '_').slice(0, 100)}.html` } = call.options
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

interface NamedRun {
  kind: string
  id: string
  name: string | null
  start_time: string
}

const newestRuns = 1000
const shownChoices = 10

/** The run of that id, or the one of that name among the newest. */
async function findRun(wanted: readonly string[], given: string, base: URL): Promise<Run> {
  if (isUlid(given)) return readRun(wanted, given, base)
  const answer = await ask(new URL(`runs?number=${newestRuns}`, base), {
    headers: { accept: 'application/json' },
  })
  const { runs } = (await answer.json()) as { runs: NamedRun[] }
  const ofKind = runs.filter(({ kind }) => wanted.includes(kind))
  const ofId = ofKind.find(({ id }) => id === given)
  if (ofId) return readRun([ofId.kind], given, base)
  const isNamed = (name: string | null) => name?.toLowerCase() === given.toLowerCase()
  const named = ofKind.filter(({ name }) => isNamed(name))
  if (named.length === 1) return readRun([named[0]!.kind], named[0]!.id, base)
  if (named.length > 1)
    throw new EventError(
      'EVT_REFUSED',
      `there are ${named.length} of the name '${given}': give the id of one of them:`,
      { detail: [...listOf(named), `like: madsci-events report run ${named[0]!.id}`] },
    )
  const refused = (rest: string, detail?: string[]) =>
    new EventError(
      'EVT_REFUSED',
      `no ${wanted.join(' or ')} is called '${given}'${runs.length < newestRuns ? '' : ` among the newest ${newestRuns}`}, or has this id${rest}`,
      { detail },
    )
  // An id may be any text, and the run an old one.
  return readRun(wanted, given, base).catch((error) => {
    if (!(error instanceof EventError) || error.code !== 'EVT_REFUSED') throw error
    throw ofKind.length === 0 ? refused(': none was heard of yet') : refused('; there are:', listOf(ofKind))
  })
}

/** The newest of them: what tells one from another. */
function listOf(runs: readonly NamedRun[]): string[] {
  const texts = runs
    .slice(0, shownChoices)
    .map(
      ({ kind, id, name, start_time }) =>
        `  ${id}  ${start_time.slice(0, 19).replace('T', ' ')}  ${kind} ${name ?? 'without a name'}`,
    )
  const more = runs.length - texts.length
  return [...texts, ...(more > 0 ? [`  and ${more} more`] : [])]
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
