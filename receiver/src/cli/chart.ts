/** Pictures of utilization for a terminal, as lines of text. */

const signs: { [state: string]: string } = { busy: '█', idle: '─', error: '✗', down: '░', unknown: ' ' }
export const legend = 'busy █  idle ─  error ✗  down ░  unknown blank'
const order = ['busy', 'idle', 'error', 'down', 'unknown']

export const pad = (text: string, width: number) =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width)

/** `1h 05m`, `3m 20s`, `1.25s`, `8.5ms`. */
export function toDuration(micros: number | null): string {
  if (micros === null) return '-'
  const seconds = micros / 1e6
  if (seconds > 0 && seconds < 0.1) return `${Number((micros / 1000).toFixed(1))}ms`
  if (seconds < 60) return `${Number(seconds.toFixed(2))}s`
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`
  return `${Math.floor(seconds / 3600)}h ${two((seconds % 3600) / 60)}m`
}

/** A bar of a share between 0 and 100. */
export function toBar(percent: number | null, width: number): string {
  const full = Math.round((Math.min(Math.max(percent ?? 0, 0), 100) / 100) * width)
  return `${'█'.repeat(full)}${'·'.repeat(width - full)}`
}

/** One bar divided by states, the largest remainders rounded up, so that it is always as wide as wanted. */
export function toStackedBar(totals: { [state: string]: number }, width: number): string {
  const wall = order.reduce((sum, state) => sum + (totals[state] ?? 0), 0)
  if (wall === 0) return ' '.repeat(width)
  const parts = order.map((state) => {
    const exact = ((totals[state] ?? 0) / wall) * width
    return { state, cells: Math.floor(exact), rest: exact - Math.floor(exact) }
  })
  let left = width - parts.reduce((sum, { cells }) => sum + cells, 0)
  for (const part of [...parts].sort((a, b) => b.rest - a.rest)) if (left-- > 0) part.cells++
  return parts.map(({ state, cells }) => signs[state]!.repeat(cells)).join('')
}

export interface Gantt {
  /** Adds an interval of a thing; times in microseconds. */
  add(key: string, label: string, state: string, start: number, end: number): void
  lines(labelWidth: number): string[]
  /** How many things were added, those that are not held, too. */
  readonly added: number
}

/** Each thing a line, each column a slice of the window with the sign of the state that filled most of it; errors always show. Holds the last `most`. */
export function createGantt(window: { start: number; end: number }, width: number, most = Infinity): Gantt {
  let added = 0
  const rows = new Map<string, { label: string; cells: { [state: string]: number }[] }>()
  const slice = (window.end - window.start) / width
  return {
    add(key, label, state, start, end) {
      let row = rows.get(key)
      if (!row) {
        row = { label, cells: Array.from({ length: width }, () => ({})) }
        rows.set(key, row)
        added++
        if (rows.size > most) rows.delete(rows.keys().next().value!)
      }
      const first = Math.max(0, Math.floor((start - window.start) / slice))
      for (let at = first; at < width; at++) {
        const from = window.start + at * slice
        const micros = Math.min(end, from + slice) - Math.max(start, from)
        if (micros <= 0) break
        const cell = row.cells[at]!
        cell[state] = (cell[state] ?? 0) + micros
      }
    },
    lines: (labelWidth) =>
      [...rows.values()].map(({ label, cells }) => `${pad(label, labelWidth)} ${cells.map(toSign).join('')}`),
    get added() {
      return added
    },
  }
}

function toSign(cell: { [state: string]: number }): string {
  if (cell.error) return signs.error!
  const [most] = Object.entries(cell).sort(([a, x], [b, y]) => y - x || order.indexOf(a) - order.indexOf(b))
  return most ? (signs[most[0]] ?? '?') : ' '
}
