import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { TimelineColumns } from '../src/utilization/timeline/column.ts'
import { describe, type Picked } from './timeline-detail.tsx'
import { axisPx, draw, findAt, type Picture, type View } from './timeline-draw.ts'
import type { Row } from './timeline-row.ts'
import type { Scale } from './timeline-scale.ts'

export interface TimelineCanvasOptions {
  rows: readonly Row[]
  scale: Scale
  view: View
  columns: TimelineColumns
  picked: Picked | undefined
  workflow: string
  /** Drawn anew when it changes. */
  zoneName: string
  isStale: boolean
  move: (view: View) => void
  pick: (picked: Picked | undefined) => void
  press: (event: KeyboardEvent) => void
  /** What the keyboard is at. */
  text: string
}

/** The rows, drawn; their names stand beside them as text, and scroll with them. */
export function TimelineCanvas(options: TimelineCanvasOptions) {
  const { rows, columns, picked, isStale, press, pick, text } = options
  const canvas = useRef<HTMLCanvasElement>(null)
  const box = useRef<HTMLDivElement>(null)
  const hover = useSignal('')
  const picture = useRef<Picture>(undefined as unknown as Picture)
  const latest = useRef(options)
  latest.current = options
  picture.current = toPicture(options, box.current?.scrollTop ?? 0)
  useDrawing(canvas, box, picture, latest)
  useGestures(canvas, picture, latest, hover)
  useEffect(() => {
    const row = picked && rows.find(({ lanes }) => lanes.includes(picked.lane))
    const view = box.current
    if (!row || !view) return
    if (row.topPx < view.scrollTop) view.scrollTop = row.topPx
    const room = view.clientHeight - axisPx - row.heightPx
    if (row.topPx > view.scrollTop + room) view.scrollTop = row.topPx - room
  }, [picked?.lane])
  const last = rows.at(-1)!
  return (
    <>
      <div ref={box} class={isStale ? 'timeline stale' : 'timeline'}>
        <div class="timeline-all" style={{ height: `${last.topPx + last.heightPx + axisPx}px` }}>
          <ol class="timeline-names">
            {rows.map((row) => (
              <li key={row.key} style={{ top: `${row.topPx + axisPx}px`, height: `${row.heightPx}px` }}>
                <button
                  type="button"
                  tabIndex={-1}
                  title={row.id === '' ? row.name : `${row.name} ${row.id}`}
                  onClick={() => {
                    const lane = row.lanes[0]
                    if (lane && lane.starts.length > 0) pick({ lane, index: lane.starts.length - 1 })
                  }}
                >
                  <bdi>{row.name}</bdi>
                </button>
              </li>
            ))}
          </ol>
          <canvas
            ref={canvas}
            role="slider"
            tabIndex={0}
            aria-label={`Timeline of nodes, experiments, workflows, steps and actions, ${columns.entities.length} in all. Arrows move, plus and minus zoom, up and down choose a row, j and k an interval, Enter leads to its events`}
            aria-valuemin={0}
            aria-valuemax={rows.length - 1}
            aria-valuenow={picked ? rows.findIndex(({ lanes }) => lanes.includes(picked.lane)) : 0}
            aria-valuetext={text}
            onKeyDown={press}
          />
        </div>
      </div>
      <p class="since timeline-hover" aria-hidden="true">
        {hover.value || ' '}
      </p>
    </>
  )
}

function toPicture(options: TimelineCanvasOptions, scrollPx: number): Picture {
  const { rows, scale, view, columns, picked, workflow } = options
  return {
    rows,
    scale,
    view,
    scrollPx,
    // The name of a node stands beside its row.
    nameOf: (owner, cause) => {
      const { kind, name } = columns.entities[owner]!
      return kind === 'node' ? (columns.causes[cause] ?? '').replaceAll('_', ' ') : (name ?? '')
    },
    isBright:
      workflow === ''
        ? undefined
        : (owner) => {
            const { kind, id, workflow_id } = columns.entities[owner]!
            return kind === 'node' || kind === 'experiment' || id === workflow || workflow_id === workflow
          },
    picked,
    now: scale.toDrawn(columns.now_us),
  }
}

type Ref<Value> = { current: Value }

function useDrawing(
  canvas: Ref<HTMLCanvasElement | null>,
  box: Ref<HTMLDivElement | null>,
  picture: Ref<Picture>,
  latest: Ref<TimelineCanvasOptions>,
): void {
  const frame = useRef(0)
  const soon = useRef(() => {
    frame.current ||= requestAnimationFrame(() => {
      frame.current = 0
      if (!canvas.current || !box.current) return
      picture.current = toPicture(latest.current, box.current.scrollTop)
      draw(canvas.current, picture.current)
    })
  })
  useEffect(() => soon.current())
  useEffect(() => {
    const again = soon.current
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const sizes = new ResizeObserver(again)
    sizes.observe(canvas.current!)
    box.current!.addEventListener('scroll', again, { passive: true })
    dark.addEventListener('change', again)
    return () => {
      sizes.disconnect()
      dark.removeEventListener('change', again)
      cancelAnimationFrame(frame.current)
      frame.current = 0
    }
  }, [])
}

const clickPx = 4

/** Drag and wheel move, two fingers and Ctrl with the wheel zoom, a click chooses. */
function useGestures(
  canvas: Ref<HTMLCanvasElement | null>,
  picture: Ref<Picture>,
  latest: Ref<TimelineCanvasOptions>,
  hover: { value: string },
): void {
  useEffect(() => {
    const target = canvas.current!
    const pointers = new Map<number, { x: number; y: number }>()
    let travelled = 0
    const place = (event: MouseEvent) => {
      const area = target.getBoundingClientRect()
      return { x: event.clientX - area.left, y: event.clientY - area.top, width: area.width }
    }
    const zoomAt = (x: number, width: number, factor: number) => {
      const { from, until } = latest.current.view
      const at = from + ((until - from) * x) / width
      latest.current.move({ from: at - (at - from) * factor, until: at + (until - at) * factor })
    }
    const panBy = (px: number, width: number) => {
      const { from, until } = latest.current.view
      const by = ((until - from) * px) / width
      latest.current.move({ from: from + by, until: until + by })
    }
    const down = (event: PointerEvent) => {
      if (event.button !== 0) return
      target.setPointerCapture(event.pointerId)
      if (pointers.size === 0) travelled = 0
      pointers.set(event.pointerId, place(event))
    }
    const moved = (event: PointerEvent) => {
      const at = place(event)
      const before = pointers.get(event.pointerId)
      if (!before) {
        const found = findAt(picture.current, at)
        hover.value = found ? sayFound(latest.current.columns, found) : ''
        target.style.cursor = found ? 'pointer' : 'grab'
        return
      }
      travelled += Math.hypot(at.x - before.x, at.y - before.y)
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1]
      if (other) {
        const [wideBefore, wide] = [Math.abs(before.x - other.x), Math.abs(at.x - other.x)]
        if (wideBefore > 8 && wide > 8) zoomAt((at.x + other.x) / 2, at.width, wideBefore / wide)
      } else if (travelled > clickPx) panBy(before.x - at.x, at.width)
      pointers.set(event.pointerId, at)
    }
    const up = (event: PointerEvent) => {
      if (!pointers.delete(event.pointerId) || event.type === 'pointercancel') return
      if (travelled > clickPx) return
      const found = findAt(picture.current, place(event))
      latest.current.pick(found)
    }
    const wheel = (event: WheelEvent) => {
      const { x, y, width } = place(event)
      if (event.ctrlKey || event.metaKey || event.altKey || y < axisPx)
        zoomAt(x, width, Math.exp(Math.max(-100, Math.min(100, event.deltaY)) / 200))
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
        panBy(event.deltaX || event.deltaY, width)
      else return
      event.preventDefault()
    }
    const twice = (event: MouseEvent) => {
      const { x, width } = place(event)
      zoomAt(x, width, 0.5)
    }
    const leave = () => {
      hover.value = ''
    }
    target.addEventListener('pointerdown', down)
    target.addEventListener('pointermove', moved)
    target.addEventListener('pointerup', up)
    target.addEventListener('pointercancel', up)
    target.addEventListener('pointerleave', leave)
    target.addEventListener('dblclick', twice)
    target.addEventListener('wheel', wheel, { passive: false })
  }, [])
}

function sayFound(columns: TimelineColumns, found: { row: Row } & Picked): string {
  const entity = columns.entities[found.lane.owners[found.index]!]!
  return `${entity.kind} ${entity.name ?? `…${entity.id.slice(-6)}`}: ${describe(columns, found)}`
}
