import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { levelNames } from '../../sdk/src/event/level.ts'
import type { SummaryAnswer } from '../src/http/summary-answer.ts'
import { useDrawing } from './drawing.ts'
import { toAddress, type Wanted } from './explore-state.ts'
import { go } from './state.ts'
import type { ShownSummary } from './summary.ts'
import { countOf, showCount, showSpan, showTime } from './time.ts'

type Levels = SummaryAnswer['histogram']['buckets'][number]

/** The pieces of time of a histogram, those without events too. */
interface Pieces {
  fromMs: number
  widthMs: number
  list: (Levels | undefined)[]
  most: number
}

/** A moment that is marked above the bars. */
export interface Mark {
  atMs: number
}

const heightPx = 64
// The worst stand at the bottom, where they are seen.
const worstFirst = [...levelNames].reverse()
const colours: { [level: string]: string } = {
  critical: '--error',
  error: '--error',
  warning: '--waiting',
  info: '--busy',
  debug: '--idle',
  notset: '--idle',
}
const maxPieces = 2000

/** `untilNow`: the pieces reach the present, where nothing has happened since. */
function toPieces({ histogram, total }: SummaryAnswer, untilNow: boolean): Pieces | undefined {
  const { from, until, bucket_ms: widthMs, buckets } = histogram
  if (from === null || until === null || total === 0) return undefined
  const fromMs = Date.parse(from)
  // Narrow pieces that would not reach it end where the events do.
  const reachesNow = untilNow && (Date.now() - fromMs) / widthMs <= maxPieces
  const untilMs = reachesNow ? Math.max(Date.parse(until), Date.now()) : Date.parse(until)
  const count = Math.min(maxPieces, Math.ceil((untilMs - fromMs) / widthMs))
  const list = new Array<Levels | undefined>(count).fill(undefined)
  let most = 1
  for (const bucket of buckets) {
    const at = Math.round((Date.parse(bucket.start_time) - fromMs) / widthMs)
    if (at >= count) continue
    list[at] = bucket
    most = Math.max(most, bucket.total)
  }
  return { fromMs, widthMs, list, most }
}

/**
 * Events over time by level. A drag or a click narrows the time; by keyboard the arrows go from piece to piece, Shift
 * holds on to where one began, Enter narrows; Back undoes.
 */
export function Histogram(props: { summary: ShownSummary; state: Wanted; marks?: readonly Mark[] }) {
  const { summary, state, marks = [] } = props
  const { answer, isBusy, problem } = summary
  const canvas = useRef<HTMLCanvasElement>(null)
  /** First and last piece that is chosen, in the order in which they were. */
  const chosen = useSignal<[number, number] | undefined>(undefined)
  const isDragging = useRef(false)
  const pieces = answer && toPieces(answer, state.end === '' && state.span !== 'all' && state.start === '')
  const range = chosen.value
  useEffect(() => {
    chosen.value = undefined
  }, [answer])
  useDrawing(() => {
    if (canvas.current && pieces) draw(canvas.current, pieces, range, marks)
  })
  if (!answer || !pieces)
    return (
      <p class="histogram since">
        {problem ? `No histogram: ${problem}` : answer ? 'No event to count.' : 'counting …'}
      </p>
    )

  const last = pieces.list.length - 1
  const within = (at: number) => Math.min(last, Math.max(0, at))
  const pieceAt = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect()
    return within(Math.floor(((event.clientX - box.left) / box.width) * pieces.list.length))
  }
  const timeOf = (piece: number) => pieces.fromMs + piece * pieces.widthMs
  const zoom = ([one, other]: [number, number]) => {
    // The last microsecond before the end, which is not part of it.
    const end = new Date(timeOf(Math.max(one, other) + 1) - 1).toISOString().replace('Z', '999Z')
    const start = new Date(timeOf(Math.min(one, other))).toISOString()
    go(toAddress({ ...state, id: '', start, end }))
  }
  const press = (event: KeyboardEvent) => {
    const [left, right] = range ? [range[1] - 1, range[1] + 1] : [last, 0]
    const next = { ArrowLeft: left, ArrowRight: right, Home: 0, End: last }[event.key]
    if (event.key === 'Enter' && range) zoom(range)
    else if (next !== undefined) {
      const at = within(next)
      chosen.value = [event.shiftKey && range ? range[0] : at, at]
    } else return
    event.preventDefault()
    event.stopPropagation()
  }
  const text = range ? describe(pieces, range, marks) : ''
  return (
    <div class={isBusy || problem ? 'histogram stale' : 'histogram'}>
      <canvas
        ref={canvas}
        height={heightPx}
        role="slider"
        tabIndex={0}
        aria-label="Events over time: arrows choose a piece, Enter narrows the time to it"
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={range?.[1] ?? last}
        aria-valuetext={text || countOf(answer.total, 'event')}
        onKeyDown={press}
        onPointerDown={(event) => {
          if (event.button !== 0) return
          canvas.current!.setPointerCapture(event.pointerId)
          isDragging.current = true
          chosen.value = [pieceAt(event), pieceAt(event)]
        }}
        onPointerMove={(event) => {
          const at = pieceAt(event)
          chosen.value = isDragging.current && chosen.value ? [chosen.value[0], at] : [at, at]
        }}
        onPointerUp={() => {
          if (isDragging.current && chosen.value) zoom(chosen.value)
          isDragging.current = false
        }}
        onPointerCancel={() => {
          isDragging.current = false
          chosen.value = undefined
        }}
        onPointerLeave={() => {
          if (!isDragging.current) chosen.value = undefined
        }}
      />
      <p class="scale since">
        <span>{showEdge(pieces.fromMs)}</span>
        <span>
          {text || (problem ? `not counted again: ${problem}` : `a bar: ${showSpan(pieces.widthMs)}`)}
        </span>
        <span>{showEdge(timeOf(last + 1))}</span>
      </p>
    </div>
  )
}

const showEdge = (ms: number) => showTime(new Date(ms).toISOString().replace('.000Z', 'Z'))

function describe(pieces: Pieces, [one, other]: [number, number], marks: readonly Mark[]): string {
  const [first, last] = one < other ? [one, other] : [other, one]
  let total = 0
  const counts = new Map<string, number>()
  for (const levels of pieces.list.slice(first, last + 1)) {
    total += levels?.total ?? 0
    for (const [level, count] of Object.entries(levels?.levels ?? {}))
      counts.set(level, (counts.get(level) ?? 0) + count)
  }
  const start = pieces.fromMs + first * pieces.widthMs
  const parts = worstFirst.flatMap((level) => {
    const count = counts.get(level)
    return count === undefined ? [] : [`${showCount(count)} ${level}`]
  })
  const span = (last - first + 1) * pieces.widthMs
  const marked = marks.filter(({ atMs }) => atMs >= start && atMs < start + span).length
  if (marked > 0) parts.push(`${showCount(marked)} marked`)
  return `${showEdge(start)}, ${span < 1000 ? `${span} ms` : showSpan(span)}: ${parts.join(', ') || countOf(total, 'event')}`
}

function draw(
  canvas: HTMLCanvasElement,
  { list, most, fromMs, widthMs }: Pieces,
  range: [number, number] | undefined,
  marks: readonly Mark[],
): void {
  const scale = devicePixelRatio || 1
  const width = canvas.clientWidth
  canvas.width = Math.round(width * scale)
  canvas.height = Math.round(heightPx * scale)
  const context = canvas.getContext('2d')
  if (!context) return
  context.scale(scale, scale)
  const colourOf = (name: string) => {
    // The property holds light-dark(…), which only a colour resolves.
    canvas.style.color = `var(${name})`
    return getComputedStyle(canvas).color
  }
  const paints = Object.fromEntries(Object.entries(colours).map(([level, name]) => [level, colourOf(name)]))
  const line = colourOf('--line')
  canvas.style.color = ''
  if (range) {
    const [first, last] = range[0] < range[1] ? range : [range[1], range[0]]
    context.fillStyle = line
    context.fillRect((first / list.length) * width, 0, ((last - first + 1) / list.length) * width, heightPx)
  }
  context.fillStyle = line
  context.fillRect(0, heightPx - 1, width, 1)
  const step = width / list.length
  const gap = step > 4 ? 1 : 0
  for (const [at, levels] of list.entries()) {
    if (!levels) continue
    let top = heightPx - 1
    const room = heightPx - 3
    for (const level of worstFirst) {
      const count = levels.levels[level]
      if (!count) continue
      // The least is seen too.
      const height = Math.max(1, (count / most) * room)
      top -= height
      context.fillStyle = paints[level]!
      context.fillRect(at * step, Math.max(0, top), Math.max(1, step - gap), height)
    }
  }
  context.fillStyle = colourOf('--ink')
  canvas.style.color = ''
  for (const { atMs } of marks) {
    const x = ((atMs - fromMs) / widthMs) * step
    // Arrows that point at their time: their form tells them from bars.
    context.beginPath()
    context.moveTo(x - 5, 0)
    context.lineTo(x + 5, 0)
    context.lineTo(x, 9)
    context.fill()
  }
}
