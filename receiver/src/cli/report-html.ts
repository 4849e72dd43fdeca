/** The answer of GET /run/{kind}/{id}, as far as a report shows it. */
export interface Run {
  kind: string
  id: string
  name: string | null
  user: string | null
  experiment_id: string | null
  outcome: string | null
  state: string
  start_time: string
  end_time: string
  is_open: boolean
  now: string
  totals_us: { [state: string]: number }
  rows: {
    kind: string
    id: string
    name: string | null
    node_name: string | null
    outcome: string | null
    intervals: { state: string; cause: string; start_time: string; end_time: string }[]
  }[]
  failures: { event: RunEvent; before: RunEvent[] }[]
  waits: { reason: string; waiter: string; wait_us: number; node: string | null }[]
  numbers: { name: string; count: number; least: number; greatest: number; last: number }[]
  people: string[]
  alerts: { rule: string; state: string; why: string; opened_at: string }[] | null
  events: RunEvent[]
  cuts: string[]
}

interface RunEvent {
  id: string
  type: string
  level: number
  message: string
  timestamp: string
}

const style = `
:root{color-scheme:light dark}
body{font:13px/20px system-ui,sans-serif;margin:24px;max-width:1100px;overflow-wrap:anywhere}
h1{font-size:22px;line-height:28px}h2{font-size:14px;margin:20px 0 4px}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8886;padding:0 12px 0 0;text-align:left;vertical-align:top;font-weight:400}
th{opacity:.8}.time{white-space:nowrap}.bad{color:light-dark(#b3261e,#ff8a80)}
svg{width:100%;height:14px;display:block}.bar{width:60%}
.busy{fill:light-dark(#1f66c7,#5b9bf0)}.error{fill:light-dark(#b3261e,#ff8a80)}.down{fill:light-dark(#7a3fa8,#c79bf0)}.idle{fill:#8a929b}.unknown{fill:#8886}
@media print{:root{color-scheme:light}body{margin:0}tr{break-inside:avoid}rect{print-color-adjust:exact}}
`

const entities: { [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text of somebody else → text of HTML, in content and in attributes. */
export function escapeHtml(text: string): string {
  let escaped = ''
  for (const character of text) escaped += entities[character] ?? character
  return escaped
}

/** The black box of a run as one page that runs nothing and asks for nothing: a policy of its own forbids it. */
export function toReportHtml(run: Run): string {
  const { kind, id, name, start_time, end_time, is_open, outcome, state } = run
  const title = escapeHtml(name ?? id)
  const word = is_open ? `open (${state})` : (outcome ?? 'unknown')
  const facts: [string, string][] = [
    ['outcome', word],
    [kind, id],
    ['began', start_time],
    ['ended', is_open ? 'not yet' : end_time],
    ['took', toSpan(Date.parse(end_time) - Date.parse(start_time))],
    [
      'of that',
      Object.entries(run.totals_us)
        .flatMap(([one, us]) => (us > 0 && one !== 'wall' ? [`${one} ${toSpan(us / 1000)}`] : []))
        .join(', '),
    ],
    ...(run.experiment_id === null ? [] : [['experiment', run.experiment_id] as [string, string]]),
    ['people', run.people.join(', ') || 'nobody is named'],
    ['written', run.now],
  ]
  const failures = run.failures.flatMap(({ event, before }) => [
    ...before.map((one) => toEventRow(one)),
    toEventRow(event, 'bad'),
    '<tr><td colspan="4">&nbsp;</td></tr>',
  ])
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title><style>${style}</style></head><body><main>
<h1>${title}</h1>
${table(
  [],
  facts.map((row) => htmlRow(row)),
)}
<h2>Timeline</h2>
${table([], toTimeline(run))}
<h2>Failures (${run.failures.length}), each below the ten events before it</h2>
${table([], failures)}
<h2>Waits</h2>
${table(
  [],
  run.waits.map(({ wait_us, reason, waiter, node }) =>
    htmlRow([toSpan(wait_us / 1000), reason, waiter, node ?? 'nothing known']),
  ),
)}
<h2>Alerts</h2>
${table(
  [],
  (run.alerts ?? []).map(({ opened_at, rule, state: now, why }) => htmlRow([opened_at, rule, now, why])),
)}
<h2>Numbers</h2>
${table(
  ['name', 'values', 'least', 'greatest', 'last'],
  run.numbers.map(({ name: path, count, least, greatest, last }) =>
    htmlRow([path, String(count), String(least), String(greatest), String(last)]),
  ),
)}
<h2>Events (${run.events.length})</h2>
${table(
  [],
  run.events.map((event) => toEventRow(event)),
)}
${run.cuts.length > 0 ? `<p>Not shown: ${escapeHtml(run.cuts.join('; '))}.</p>` : ''}
</main></body></html>
`
}

function table(heads: readonly string[], rows: readonly string[]): string {
  if (rows.length === 0) return '<p>None.</p>'
  const head = heads.length === 0 ? '' : `<tr>${heads.map((one) => `<th>${one}</th>`).join('')}</tr>`
  return `<table>${head}${rows.join('\n')}</table>`
}

const htmlRow = (cells: readonly string[]) =>
  `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`

const toEventRow = ({ timestamp, level, message, type, id }: RunEvent, kind = '') =>
  `<tr class="${kind}"><td class="time">${escapeHtml(timestamp)}</td><td>${level}</td><td>${escapeHtml(message || type)}</td><td>${escapeHtml(id)}</td></tr>`

const heights: { [state: string]: number } = { error: 10, down: 10, busy: 7, unknown: 4, idle: 2 }

function toTimeline({ rows, start_time, end_time }: Run): string[] {
  const startMs = Date.parse(start_time)
  const scale = 1000 / Math.max(1, Date.parse(end_time) - startMs)
  return rows.map(({ kind, id, name, node_name, outcome, intervals }) => {
    const bars = intervals.map(({ state, start_time: from, end_time: to }) => {
      const height = heights[state]
      if (height === undefined) return ''
      const x = (Date.parse(from) - startMs) * scale
      const width = Math.max(2, (Date.parse(to) - Date.parse(from)) * scale)
      return `<rect class="${state}" x="${x.toFixed(1)}" y="${10 - height}" width="${width.toFixed(1)}" height="${height}"/>`
    })
    const label = `${kind} ${name ?? id}${node_name === null ? '' : ` on ${node_name}`}`
    return `<tr><td class="${outcome === 'failed' ? 'bad' : ''}">${escapeHtml(label)}</td><td>${escapeHtml(outcome ?? '')}</td><td class="bar"><svg viewBox="0 0 1000 10" preserveAspectRatio="none">${bars.join('')}</svg></td></tr>`
  })
}

function toSpan(ms: number): string {
  const seconds = Math.max(0, ms / 1000)
  if (seconds < 120) return `${seconds.toFixed(1)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
