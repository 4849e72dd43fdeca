import { useSignal } from '@preact/signals'
import { useRef } from 'preact/hooks'
import type { SummaryBucket, SummaryItem } from '../src/utilization/timeline/summary.ts'
import { useDrawing } from './drawing.ts'
import { go } from './state.ts'
import { countOf, showSecond } from './time.ts'
import { toTimelineAddress } from './timeline-state.ts'

const rowPx = 37
const cellPx = 28

/** The timeline of a time, with the node that one came from. */
export const timelineOf = (id: string, start: string, end: string) =>
  toTimelineAddress({
    start: new Date(start).toISOString(),
    end: new Date(end).toISOString(),
    pick: `node:${Date.parse(start) * 1000}:${id}`,
  })

/** Nodes by pieces of time: the darker the busier, what was in error or down as a bar from below. A cell leads to its timeline. */
export function Heat({ items }: { items: readonly SummaryItem[] }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const at = useSignal<{ row: number; column: number } | undefined>(undefined)
  const columns = items[0]?.buckets?.length ?? 0
  const cell = at.value
  useDrawing(() => {
    if (canvas.current) draw(canvas.current, items, cell)
  })
  const placeOf = (event: MouseEvent) => {
    const box = canvas.current!.getBoundingClientRect()
    const within = (part: number, count: number) => Math.min(count - 1, Math.max(0, Math.floor(part * count)))
    return {
      row: within((event.clientY - box.top) / box.height, items.length),
      column: within((event.clientX - box.left) / box.width, columns),
    }
  }
  const open = ({ row, column }: { row: number; column: number }) => {
    const item = items[row]!
    const bucket = item.buckets![column]!
    go(timelineOf(item.id, bucket.start_time, bucket.end_time))
    scrollTo(0, 0)
  }
  const press = (event: KeyboardEvent) => {
    const { row, column } = cell ?? { row: 0, column: columns - 1 }
    const steps: { [key: string]: [number, number] } = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      Home: [0, -columns],
      End: [0, columns],
    }
    const step = steps[event.key]
    if (event.key === 'Enter' && cell) open(cell)
    else if (step) {
      const within = (place: number, count: number) => Math.min(count - 1, Math.max(0, place))
      at.value = cell
        ? { row: within(row + step[0], items.length), column: within(column + step[1], columns) }
        : { row, column }
    } else return
    event.preventDefault()
  }
  const text = cell ? describe(items[cell.row]!, cell.column) : ''
  const first = items[0]!.buckets!
  return (
    <>
      <div class="heat">
        <ol>
          {items.map((item) => (
            <li key={item.id} title={`${item.name ?? ''} ${item.id}`}>
              <bdi>{item.name ?? `node …${item.id.slice(-6)}`}</bdi>
            </li>
          ))}
        </ol>
        <canvas
          ref={canvas}
          style={{ height: `${items.length * rowPx}px` }}
          role="slider"
          tabIndex={0}
          aria-label="Use of each node over time: arrows choose a cell, Enter opens its timeline"
          aria-valuemin={0}
          aria-valuemax={items.length * columns - 1}
          aria-valuenow={cell ? cell.row * columns + cell.column : 0}
          aria-valuetext={text || countOf(items.length, 'node')}
          onKeyDown={press}
          onPointerMove={(event) => {
            at.value = placeOf(event)
          }}
          onPointerLeave={() => {
            at.value = undefined
          }}
          onClick={(event) => open(placeOf(event))}
        />
      </div>
      <p class="scale since">
        <span>{showSecond(first[0]!.start_time)}</span>
        <span>{text || 'a click on a cell opens its timeline'}</span>
        <span>{showSecond(first.at(-1)!.end_time)}</span>
      </p>
    </>
  )
}

function describe(item: SummaryItem, column: number): string {
  const { start_time, totals_us } = item.buckets![column]!
  const parts = (['busy', 'idle', 'error', 'down', 'unknown'] as const).flatMap((state) => {
    const percent = Math.round((totals_us[state] / totals_us.wall) * 100)
    return percent > 0 ? [`${state} ${percent} %`] : []
  })
  return `${item.name ?? `…${item.id.slice(-6)}`}, ${showSecond(start_time)}: ${parts.join(', ') || 'nothing'}`
}

function draw(
  canvas: HTMLCanvasElement,
  items: readonly SummaryItem[],
  chosen: { row: number; column: number } | undefined,
): void {
  const scale = devicePixelRatio || 1
  const { clientWidth: width, clientHeight: height } = canvas
  canvas.width = Math.round(width * scale)
  canvas.height = Math.round(height * scale)
  const context = canvas.getContext('2d')
  if (!context) return
  context.scale(scale, scale)
  const colourOf = (name: string) => {
    // The property holds light-dark(…), which only a colour resolves.
    canvas.style.color = `var(${name})`
    return getComputedStyle(canvas).color
  }
  const [busy, error, down, line, ink] = ['--busy', '--error', '--down', '--line', '--ink'].map(colourOf)
  canvas.style.color = ''
  for (const [row, { buckets = [] }] of items.entries()) {
    const wide = width / buckets.length
    const top = row * rowPx + (rowPx - cellPx) / 2
    const gap = wide > 5 ? 1 : 0
    for (const [column, bucket] of buckets.entries()) {
      const x = column * wide
      const { wall, unknown } = bucket.totals_us
      context.fillStyle = line!
      // Where nothing is known there is only a line.
      if (wall === unknown) {
        context.fillRect(x, top + cellPx - 1, wide, 1)
        continue
      }
      context.globalAlpha = 0.5
      context.fillRect(x, top, wide - gap, cellPx)
      fillCell(context, bucket, { x, top, wide: wide - gap, busy: busy!, error: error!, down: down! })
      context.globalAlpha = 1
    }
    if (chosen?.row !== row) continue
    context.strokeStyle = ink!
    context.lineWidth = 2
    context.strokeRect(chosen.column * wide, top - 2, Math.max(3, wide - gap), cellPx + 4)
  }
}

interface Cell {
  x: number
  top: number
  wide: number
  busy: string
  error: string
  down: string
}

function fillCell(context: CanvasRenderingContext2D, { totals_us }: SummaryBucket, cell: Cell): void {
  const { x, top, wide, busy, error, down } = cell
  const known = totals_us.wall - totals_us.unknown
  context.fillStyle = busy
  context.globalAlpha = totals_us.busy > 0 ? 0.12 + (0.88 * totals_us.busy) / known : 0
  context.fillRect(x, top, wide, cellPx)
  context.globalAlpha = 1
  let bottom = top + cellPx
  for (const [micros, colour] of [
    [totals_us.error, error],
    [totals_us.down, down],
  ] as const) {
    if (micros === 0) continue
    // The least is seen too.
    const high = Math.max(3, (micros / totals_us.wall) * cellPx)
    context.fillStyle = colour
    context.fillRect(x, bottom - high, wide, high)
    bottom -= high
  }
}
