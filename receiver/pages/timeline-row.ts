import type { ColumnEntity, TimelineColumns } from '../src/utilization/timeline/column.ts'
import type { Scale } from './timeline-scale.ts'

/** How an interval is painted: a state, but for waiting and pauses, which stand lower. */
export const paints = ['busy', 'idle', 'error', 'down', 'unknown', 'waiting', 'paused'] as const
const [busy, idle, down] = [paints.indexOf('busy'), paints.indexOf('idle'), paints.indexOf('down')]
const [waiting, paused] = [paints.indexOf('waiting'), paints.indexOf('paused')]

/** Intervals in one line of the drawing, in the order of their starts. */
export interface Lane {
  starts: Float64Array
  ends: Float64Array
  /** The same as the drawing has them. */
  froms: Float64Array
  untils: Float64Array
  /** The latest end among an interval and those before it: where a search may stop. */
  reach: Float64Array
  paints: Uint8Array
  causes: Uint8Array
  /** Places in the list of entities. */
  owners: Int32Array
  topPx: number
  heightPx: number
}

export interface Row {
  key: string
  name: string
  /** Of the thing; '' for a row of several. */
  id: string
  topPx: number
  heightPx: number
  lanes: Lane[]
}

interface Piece {
  entity: number
  start: number
  end: number
}

const maxLanes = 12
const gapPx = 8
// Two lines of a name.
const minRowPx = 37

/** The rows of the drawing: a row for each node with its actions below, then one for each name of an experiment, and of a workflow with its steps below. */
export function toRows(columns: TimelineColumns, workflow: string): Row[] {
  const { entities } = columns
  const isFollowed = (one: ColumnEntity) =>
    workflow === '' || one.id === workflow || one.workflow_id === workflow
  const rows: Row[] = []
  const actions = groupBy(entities, 'action', ({ node_id }) => node_id ?? '')
  const add = (key: string, name: string, id: string, bands: { places: number[]; heightPx: number }[]) => {
    const lanes: Lane[] = []
    const end = bands.reduce((topPx, { places, heightPx }) => {
      lanes.push(toLane(columns, places, topPx, heightPx))
      return topPx + heightPx + 1
    }, 3)
    rows.push({ key, name, id, topPx: 0, heightPx: Math.max(minRowPx, end + gapPx), lanes })
  }
  for (const [place, node] of entities.entries()) {
    if (node.kind !== 'node') continue
    const own = actions.get(node.id) ?? []
    actions.delete(node.id)
    if (workflow !== '' && !own.some((one) => isFollowed(entities[one]!))) continue
    const lanes = pack(columns, own, 3).map((places) => ({ places, heightPx: 10 }))
    add(`node ${node.id}`, node.name ?? shortName(node), node.id, [
      { places: [place], heightPx: 14 },
      ...lanes,
    ])
  }
  const stray = [...actions.values()].flat().filter((one) => isFollowed(entities[one]!))
  if (stray.length > 0)
    add(
      'actions',
      'actions of no known node',
      '',
      pack(columns, stray, 3).map((places) => ({ places, heightPx: 10 })),
    )
  addExperiments(columns, workflow, add)
  addWorkflows(columns, workflow, add)
  let topPx = 0
  for (const row of rows) {
    row.topPx = topPx
    topPx += row.heightPx
  }
  return rows
}

type Add = (key: string, name: string, id: string, bands: { places: number[]; heightPx: number }[]) => void

/** One row for each name of an experiment; of one workflow alone, its own. */
function addExperiments(columns: TimelineColumns, followed: string, add: Add): void {
  const { entities } = columns
  const own = entities.find(({ kind, id }) => kind === 'workflow' && id === followed)?.experiment_id
  const byName = groupBy(entities, 'experiment', (one) => one.name ?? 'experiment without a name')
  for (const [name, places] of byNaturalName(byName)) {
    const shown = places.filter((one) => followed === '' || entities[one]!.id === own)
    if (shown.length === 0) continue
    const bands = pack(columns, shown, maxLanes).map((lane) => ({ places: lane, heightPx: 14 }))
    add(`experiment ${name}`, name, shown.length === 1 ? entities[shown[0]!]!.id : '', bands)
  }
}

const byNaturalName = (groups: Map<string, number[]>) =>
  [...groups].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))

function addWorkflows(columns: TimelineColumns, followed: string, add: Add): void {
  const { entities } = columns
  const steps = groupBy(entities, 'step', ({ workflow_id }) => workflow_id ?? '')
  const byName = groupBy(entities, 'workflow', (one) => one.name ?? 'workflow without a name')
  for (const [name, places] of byNaturalName(byName)) {
    const shown = places.filter((one) => followed === '' || entities[one]!.id === followed)
    if (shown.length === 0) continue
    const bands = pack(columns, shown, maxLanes).flatMap((lane) => {
      const own = followed === '' ? lane.flatMap((one) => steps.get(entities[one]!.id) ?? []) : []
      return [{ places: lane, heightPx: 14 }, ...(own.length > 0 ? [{ places: own, heightPx: 10 }] : [])]
    })
    add(`workflow ${name}`, name, shown.length === 1 ? entities[shown[0]!]!.id : '', bands)
  }
  if (followed !== '') {
    const own = [...(steps.get(followed) ?? [])].sort((a, b) => firstOf(columns, a) - firstOf(columns, b))
    for (const place of own) {
      const step = entities[place]!
      add(`step ${step.id}`, step.name ?? shortName(step), step.id, [{ places: [place], heightPx: 14 }])
    }
  }
}

const shortName = ({ kind, id }: ColumnEntity) => `${kind} …${id.slice(-6)}`

function groupBy(
  entities: readonly ColumnEntity[],
  kind: ColumnEntity['kind'],
  keyOf: (entity: ColumnEntity) => string,
): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  for (const [place, entity] of entities.entries()) {
    if (entity.kind !== kind) continue
    const key = keyOf(entity)
    const list = groups.get(key)
    if (list) list.push(place)
    else groups.set(key, [place])
  }
  return groups
}

const firstOf = ({ entities, start_us }: TimelineColumns, place: number) =>
  start_us + (entities[place]!.gaps[0] ?? 0)

function spanOf(columns: TimelineColumns, entity: number): Piece {
  const { gaps, lengths } = columns.entities[entity]!
  let end = columns.start_us
  for (const [at, gap] of gaps.entries()) end += gap + lengths[at]!
  return { entity, start: firstOf(columns, entity), end }
}

/** So many lanes that no two things of one cover each other; of more than `most` the rest lies in the last. */
function pack(columns: TimelineColumns, places: readonly number[], most: number): number[][] {
  const lanes: { places: number[]; end: number }[] = []
  const pieces = places.map((one) => spanOf(columns, one)).sort((a, b) => a.start - b.start)
  for (const { entity, start, end } of pieces) {
    const free = lanes.find((lane) => lane.end <= start)
    const lane = free ?? (lanes.length < most ? undefined : lanes.at(-1))
    if (!lane) lanes.push({ places: [entity], end })
    else {
      lane.places.push(entity)
      lane.end = Math.max(lane.end, end)
    }
  }
  return lanes.map((lane) => lane.places)
}

function toLane(columns: TimelineColumns, places: readonly number[], topPx: number, heightPx: number): Lane {
  const list: { start: number; end: number; paint: number; cause: number; owner: number }[] = []
  for (const owner of places) {
    const { gaps, lengths, states, causes } = columns.entities[owner]!
    let at = columns.start_us
    for (const [index, gap] of gaps.entries()) {
      const start = at + gap
      at = start + lengths[index]!
      const cause = causes[index]!
      list.push({ start, end: at, paint: paintOf(states[index]!, columns.causes[cause]!), cause, owner })
    }
  }
  list.sort((a, b) => a.start - b.start)
  const starts = Float64Array.from(list, ({ start }) => start)
  const ends = Float64Array.from(list, ({ end }) => end)
  let latest = Number.NEGATIVE_INFINITY
  const reach = ends.map((end) => {
    latest = Math.max(latest, end)
    return latest
  })
  return {
    starts,
    ends,
    froms: starts,
    untils: ends,
    reach,
    paints: Uint8Array.from(list, ({ paint }) => paint),
    causes: Uint8Array.from(list, ({ cause }) => cause),
    owners: Int32Array.from(list, ({ owner }) => owner),
    topPx,
    heightPx,
  }
}

function paintOf(state: number, cause: string): number {
  if (state === idle && cause !== 'ready') return waiting
  if (state === down && (cause === 'paused' || cause === 'locked')) return paused
  return state
}

/** Places the intervals of all rows anew on the drawing. */
export function placeRows(rows: readonly Row[], scale: Scale): void {
  for (const { lanes } of rows)
    for (const lane of lanes) {
      lane.froms = lane.starts.map(scale.toDrawn)
      lane.untils = lane.ends.map(scale.toDrawn)
      let latest = Number.NEGATIVE_INFINITY
      lane.reach = lane.untils.map((until) => {
        latest = Math.max(latest, until)
        return latest
      })
    }
}

/** When something happened: work, waiting, errors, in the order of their starts. Nodes that are down all night are no work. */
export function busyTimes({ entities, start_us, states }: TimelineColumns): [number, number][] {
  const found: [number, number][] = []
  for (const { kind, gaps, lengths, states: own } of entities) {
    if (kind === 'lab' || kind === 'workcell' || kind === 'campaign' || kind === 'experiment') continue
    let at = start_us
    for (const [index, gap] of gaps.entries()) {
      const start = at + gap
      at = start + lengths[index]!
      if (states[own[index]!] === paints[busy]) found.push([start, at])
    }
  }
  return found.sort((a, b) => a[0] - b[0])
}

/** The first interval of a lane that reaches beyond a place of the drawing. */
export function firstBeyond({ reach }: Lane, place: number): number {
  let low = 0
  for (let high = reach.length; low < high; ) {
    const middle = (low + high) >> 1
    if (reach[middle]! <= place) low = middle + 1
    else high = middle
  }
  return low
}
