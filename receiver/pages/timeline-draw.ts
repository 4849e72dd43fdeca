import { zoneName } from './state.ts'
import { zoneOffsetMs } from './time.ts'
import { firstBeyond, type Lane, paints, type Row } from './timeline-row.ts'
import type { Scale } from './timeline-scale.ts'

/** A part of the drawing that is seen: `from` and `until` in its microseconds. */
export interface View {
  from: number
  until: number
}

export interface Picture {
  rows: readonly Row[]
  scale: Scale
  view: View
  scrollPx: number
  /** What a bar says that is wide enough; of its owner and its cause. */
  nameOf: (owner: number, cause: number) => string
  /** Owners that stand out; undefined: all. */
  isBright: ((owner: number) => boolean) | undefined
  picked: { lane: Lane; index: number } | undefined
  /** Where the present is drawn; undefined: not within. */
  now: number | undefined
}

export const axisPx = 24
/** Height of each paint, as a part of its lane, and its colour; what is worse stands higher, so that colour is not all that tells. */
const looks = {
  busy: { height: 1, colour: '--busy' },
  idle: { height: 0.14, colour: '--idle' },
  error: { height: 1, colour: '--error' },
  down: { height: 1, colour: '--down' },
  unknown: { height: 0.5, colour: '--unknown' },
  waiting: { height: 0.6, colour: '--waiting' },
  paused: { height: 0.6, colour: '--down' },
} satisfies { [paint in (typeof paints)[number]]: { height: number; colour: string } }
const lookList = paints.map((paint) => looks[paint])
const alarms = [paints.indexOf('error'), paints.indexOf('down')]
const unknownPaint = paints.indexOf('unknown')
const minNamePx = 40

interface Brush {
  context: CanvasRenderingContext2D
  width: number
  colours: string[]
  inks: { ink: string; ground: string; line: string; link: string; quiet: string }
}

export function draw(canvas: HTMLCanvasElement, picture: Picture): void {
  const brush = openBrush(canvas)
  if (!brush) return
  const { context, width } = brush
  const height = canvas.clientHeight
  const { rows, scrollPx, picked } = picture
  context.clearRect(0, 0, width, height)
  const ticks = [...ticksOf(picture, (picture.view.until - picture.view.from) / width, width)]
  if (picture.scale.cuts.length === 0) drawGrid(brush, ticks, picture.view, height)
  for (const row of rows) {
    const top = axisPx + row.topPx - scrollPx
    if (top + row.heightPx < axisPx || top > height) continue
    context.fillStyle = brush.inks.line
    context.fillRect(0, Math.round(top + row.heightPx) - 1, width, 1)
    for (const lane of row.lanes) drawLane(brush, lane, top + lane.topPx, picture)
  }
  if (picked) drawPicked(brush, picture, height)
  drawAxis(brush, picture, ticks, height)
}

function openBrush(canvas: HTMLCanvasElement): Brush | undefined {
  const scale = devicePixelRatio || 1
  const { clientWidth: width, clientHeight: height } = canvas
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale)
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale)
  const context = canvas.getContext('2d')
  if (!context) return undefined
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.font = '11px system-ui, sans-serif'
  context.textBaseline = 'middle'
  const colourOf = (name: string) => {
    // The property holds light-dark(…), which only a colour resolves.
    canvas.style.color = `var(${name})`
    return getComputedStyle(canvas).color
  }
  const colours = lookList.map(({ colour }) => colourOf(colour))
  const [ink, ground, line, link, quiet] = ['--ink', '--ground', '--line', '--link', '--quiet'].map(colourOf)
  canvas.style.color = ''
  return {
    context,
    width,
    colours,
    inks: { ink: ink!, ground: ground!, line: line!, link: link!, quiet: quiet! },
  }
}

/** What is narrower than a pixel is counted for its pixel: how much of it was busy, and whether something was wrong. */
function drawLane(brush: Brush, lane: Lane, top: number, picture: Picture): void {
  const { width } = brush
  const { view } = picture
  const perPx = (view.until - view.from) / width
  const shares = new Float32Array((Math.ceil(width) + 1) * lookList.length)
  const names: { x: number; wide: number; name: string; paint: number }[] = []
  let hasShares = false
  const { froms, untils, paints: kinds, owners } = lane
  for (let index = firstBeyond(lane, view.from); index < froms.length; index++) {
    const from = froms[index]!
    if (from >= view.until) break
    const until = untils[index]!
    if (until <= view.from) continue
    const x = (Math.max(from, view.from) - view.from) / perPx
    const end = (Math.min(until, view.until) - view.from) / perPx
    const paint = kinds[index]!
    if (end - x < 1) {
      shares[Math.floor(x) * lookList.length + paint]! += Math.max(end - x, 0.02)
      hasShares = true
      continue
    }
    const owner = owners[index]!
    const isDim = picture.isBright && !picture.isBright(owner)
    fillBar(brush, { x, wide: end - x, top, lane, paint, isDim: isDim === true })
    if (end - x > minNamePx && paint !== 1 && lane.heightPx >= 10 && !isDim)
      names.push({ x, wide: end - x, name: picture.nameOf(owner, lane.causes[index]!), paint })
  }
  if (hasShares) fillShares(brush, shares, top, lane)
  for (const name of names) fillName(brush, name, top, lane)
}

interface Bar {
  x: number
  wide: number
  top: number
  lane: Lane
  paint: number
  isDim: boolean
}

function fillBar({ context, colours }: Brush, { x, wide, top, lane, paint, isDim }: Bar): void {
  const high = Math.max(1, lane.heightPx * lookList[paint]!.height)
  const y = top + lane.heightPx - high
  context.globalAlpha = isDim ? 0.2 : 1
  context.fillStyle = colours[paint]!
  // A hair between neighbours, so that two are not one.
  const shown = wide > 4 ? wide - 1 : wide
  if (paint === unknownPaint) {
    // Hatched: nothing is known here.
    context.globalAlpha /= 2
    for (let at = 6 - ((x + 1e6) % 6); at < shown; at += 6)
      context.fillRect(x + at, y, Math.min(1, shown - at), high)
  } else context.fillRect(x, y, shown, high)
  context.globalAlpha = 1
}

function fillShares({ context, colours, width }: Brush, shares: Float32Array, top: number, lane: Lane): void {
  const bottom = top + lane.heightPx
  const count = lookList.length
  for (let x = 0; x < width; x++) {
    let base = bottom
    for (let paint = 0; paint < count; paint++) {
      const share = Math.min(1, shares[x * count + paint]!)
      if (share === 0) continue
      // The least alarm is seen.
      const least = alarms.includes(paint) ? lane.heightPx / 2 : 1
      const high = Math.min(base - top, Math.max(least, share * lane.heightPx * lookList[paint]!.height))
      if (high <= 0) continue
      context.fillStyle = colours[paint]!
      context.fillRect(x, base - high, 1, high)
      if (!alarms.includes(paint)) base -= high
    }
  }
}

function fillName(
  { context, inks }: Brush,
  { x, wide, paint, name }: { x: number; wide: number; paint: number; name: string },
  top: number,
  lane: Lane,
): void {
  if (lookList[paint]!.height < 1) return
  context.save()
  context.beginPath()
  context.rect(x + 3, top, wide - 6, lane.heightPx)
  context.clip()
  context.fillStyle = inks.ground
  context.fillText(name.slice(0, 100), x + 4, top + lane.heightPx / 2 + 0.5)
  context.restore()
}

function drawPicked(
  { context, width, inks }: Brush,
  { picked, rows, view, scrollPx }: Picture,
  height: number,
): void {
  const { lane, index } = picked!
  const row = rows.find(({ lanes }) => lanes.includes(lane))
  if (!row) return
  const perPx = (view.until - view.from) / width
  const x = (lane.froms[index]! - view.from) / perPx
  const wide = Math.max(3, (lane.untils[index]! - lane.froms[index]!) / perPx)
  if (x > width || x + wide < 0) return
  const left = Math.max(x, -2)
  const top = axisPx + row.topPx + lane.topPx - scrollPx
  if (top > height) return
  context.strokeStyle = inks.ink
  context.lineWidth = 2
  context.strokeRect(left - 1, top - 2, Math.min(x + wide, width + 2) - left + 1, lane.heightPx + 4)
}

const steps = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
  3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
]
const minTickPx = 88

interface Tick {
  at: number
  label: string
}

/** Below the bars. */
function drawGrid({ context, width, inks }: Brush, ticks: readonly Tick[], view: View, height: number): void {
  context.strokeStyle = inks.line
  context.lineWidth = 1
  for (const { at } of ticks) {
    const x = Math.round(((at - view.from) / (view.until - view.from)) * width) + 0.5
    line(context, x, axisPx, x, height)
  }
}

function drawAxis(
  { context, width, inks }: Brush,
  picture: Picture,
  ticks: readonly Tick[],
  height: number,
): void {
  const { view, scale, now } = picture
  const perPx = (view.until - view.from) / width
  const toX = (place: number) => Math.round((place - view.from) / perPx) + 0.5
  context.fillStyle = inks.ground
  context.fillRect(0, 0, width, axisPx)
  context.strokeStyle = inks.line
  context.lineWidth = 1
  line(context, 0, axisPx - 0.5, width, axisPx - 0.5)
  // A label with its date is wider than the room of a tick: the next one gives way.
  let endPx = Number.NEGATIVE_INFINITY
  for (const { at, label } of ticks) {
    const x = toX(at)
    line(context, x, axisPx - 5, x, axisPx)
    if (x + 4 >= width || x < endPx) continue
    context.fillStyle = inks.quiet
    context.fillText(label, x + 4, axisPx / 2 - 1)
    endPx = x + 4 + context.measureText(label).width + 4
  }
  context.setLineDash([2, 3])
  context.strokeStyle = inks.quiet
  let lastX = Number.NEGATIVE_INFINITY
  for (const { at } of scale.cuts) {
    const x = toX(at)
    if (x < 0 || x > width || x - lastX < 3) continue
    lastX = x
    line(context, x, axisPx, x, height)
  }
  context.setLineDash([])
  if (now !== undefined && now >= view.from && now <= view.until) {
    context.strokeStyle = inks.link
    line(context, toX(now), axisPx - 8, toX(now), height)
  }
}

function line(context: CanvasRenderingContext2D, x: number, y: number, toX: number, toY: number): void {
  context.beginPath()
  context.moveTo(x, y)
  context.lineTo(toX, toY)
  context.stroke()
}

function* ticksOf({ view, scale }: Picture, perPx: number, width: number): Generator<Tick> {
  if (scale.cuts.length > 0) {
    // Time does not run evenly here: places are named as they come.
    for (let x = 0; x < width; x += minTickPx * 1.4) {
      const at = view.from + x * perPx
      yield { at, label: label(scale.toTime(at), 60, true) }
    }
    return
  }
  const seconds = steps.find((step) => (step * 1e6) / perPx >= minTickPx) ?? steps.at(-1)!
  const step = seconds * 1e6
  const offset = -zoneOffsetMs(view.from / 1000) * 1000
  let day = ''
  for (let at = Math.ceil((view.from - offset) / step) * step + offset; at < view.until; at += step) {
    const date = label(at, 86_400, false)
    yield { at, label: label(at, seconds, date !== day) }
    day = date
  }
}

function label(micros: number, seconds: number, hasDate: boolean): string {
  const options: Intl.DateTimeFormatOptions = {
    timeZone: zoneName(),
    hourCycle: 'h23',
    ...((hasDate || seconds >= 86_400) && { day: 'numeric', month: 'short' }),
    ...(seconds > 30 * 86_400 && { year: 'numeric' }),
    ...(seconds < 86_400 && { hour: '2-digit', minute: '2-digit' }),
    ...(seconds < 60 && { second: '2-digit' }),
    ...(seconds < 1 && { fractionalSecondDigits: 3 as const }),
  }
  const key = JSON.stringify(options)
  let format = formats.get(key)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', options)
    formats.set(key, format)
  }
  return format.format(micros / 1000)
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** The interval at a place of the drawing; of several within two pixels the longest. */
export function findAt(
  { rows, view, scrollPx }: Picture,
  { x, y, width }: { x: number; y: number; width: number },
): { row: Row; lane: Lane; index: number } | undefined {
  const place = y - axisPx + scrollPx
  if (y < axisPx) return undefined
  const row = rows.find(({ topPx, heightPx }) => place >= topPx && place < topPx + heightPx)
  if (!row) return undefined
  const inRow = place - row.topPx
  const lane = row.lanes.findLast(({ topPx }) => inRow >= topPx - 1) ?? row.lanes[0]!
  const perPx = (view.until - view.from) / width
  const at = view.from + x * perPx
  let best: number | undefined
  for (let index = firstBeyond(lane, at - 2 * perPx); index < lane.froms.length; index++) {
    if (lane.froms[index]! > at + 2 * perPx) break
    if (lane.untils[index]! < at - 2 * perPx) continue
    const isInside = (one: number) => lane.froms[one]! <= at && lane.untils[one]! > at
    const lengthOf = (one: number) => lane.untils[one]! - lane.froms[one]!
    if (
      best === undefined ||
      (isInside(index) && !isInside(best)) ||
      (isInside(index) === isInside(best) && lengthOf(index) > lengthOf(best))
    )
      best = index
  }
  return best === undefined ? undefined : { row, lane, index: best }
}
