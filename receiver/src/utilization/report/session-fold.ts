import { secondsBetween } from './number.ts'
import { type Rows, rowKind } from './row.ts'

/** How a node spent a session, in seconds. */
export interface NodeTimes {
  node: number
  busy: number
  idle: number
  total: number
  /** Not rounded. */
  percent: number
  isBusy: boolean
}

/** What a session comes to, in seconds. */
export interface SessionTimes {
  total: number
  active: number
  /** Not rounded. */
  percent: number
  /** By number, in the order of their first start. */
  experiments: number[]
  /** In the order of their first event; workcells are among them. */
  nodes: NodeTimes[]
}

interface NodeState {
  activeSince: number | undefined
  active: number
  hasActive: boolean
  busySince: number | undefined
  busy: number
  actions: Set<number>
}

interface Period {
  from: number
  to: number
}

/**
 * One session, from its beginning on, in one pass over rows in the order of time. It holds a few numbers for each node,
 * each action that runs and each experiment, and nothing for each row. `finish` may be asked at any end not before the
 * last row, and rows may follow after it: a session that is still open is continued, not computed again.
 */
export interface SessionFold {
  readonly startMicros: number
  /** Rows up to here, included, were taken. */
  readonly throughMicros: number
  /** Takes rows [from, to) of the list. */
  add(rows: Rows, from: number, to: number, throughMicros: number): void
  finish(endMicros: number): SessionTimes
  /** Goes on by itself; from another start, before which there is no row. */
  copy(startMicros?: number): SessionFold
}

export function createSessionFold(startMicros: number): SessionFold {
  return foldOf({
    startMicros,
    throughMicros: Number.NEGATIVE_INFINITY,
    nodes: new Map(),
    started: new Map(),
    running: new Set(),
    periods: [],
  })
}

interface FoldState {
  startMicros: number
  throughMicros: number
  nodes: Map<number, NodeState>
  started: Map<number, number>
  running: Set<number>
  periods: Period[]
}

function foldOf(from: FoldState): SessionFold {
  const { startMicros, nodes, started, running, periods } = from
  let { throughMicros } = from

  function stateOf(node: number): NodeState {
    let state = nodes.get(node)
    if (!state) {
      state = {
        activeSince: undefined,
        active: 0,
        hasActive: false,
        busySince: undefined,
        busy: 0,
        actions: new Set(),
      }
      nodes.set(node, state)
    }
    return state
  }

  function closeBusy(state: NodeState, at: number): void {
    if (state.busySince === undefined) return
    state.busy += secondsBetween(state.busySince, at)
    state.busySince = undefined
  }

  function closeActive(state: NodeState, at: number): void {
    if (state.activeSince === undefined) return
    state.active += secondsBetween(state.activeSince, at)
    state.hasActive = true
    state.activeSince = undefined
  }

  function take(at: number, kind: number, state: NodeState, what: number): void {
    switch (kind) {
      case rowKind.nodeStart:
        state.activeSince ??= at
        return
      case rowKind.nodeStop:
        closeActive(state, at)
        closeBusy(state, at)
        state.actions.clear()
        return
      case rowKind.actionStart:
        if (state.actions.has(what)) return
        state.actions.add(what)
        state.busySince ??= at
        return
      case rowKind.actionEnd:
        if (state.actions.delete(what) && state.actions.size === 0) closeBusy(state, at)
    }
  }

  function takeExperiment(at: number, kind: number, experiment: number): void {
    if (kind === rowKind.experimentStart) {
      // A second start moves the beginning; the first keeps its place in the order.
      started.set(experiment, at)
      running.add(experiment)
      return
    }
    const from = started.get(experiment)
    if (from === undefined) return
    periods.push({ from, to: at })
    running.delete(experiment)
  }

  return {
    startMicros,
    get throughMicros() {
      return throughMicros
    },
    add(rows, from, to, through) {
      const { micros, kind, node, what } = rows
      // Neighbours are often of one node.
      let lastNode = 0
      let state: NodeState | undefined
      for (let i = from; i < to; i++) {
        const kindOf = kind[i]!
        const nodeOf = node[i]!
        if (nodeOf !== 0) {
          if (nodeOf !== lastNode) {
            lastNode = nodeOf
            state = stateOf(nodeOf)
          }
          if (kindOf !== rowKind.known) take(micros[i]!, kindOf, state!, what[i]!)
        }
        if (kindOf >= rowKind.experimentStart) takeExperiment(micros[i]!, kindOf, what[i]!)
      }
      throughMicros = through
    },
    finish(endMicros) {
      const total = secondsBetween(startMicros, endMicros)
      const open = [...started]
        .filter(([experiment]) => running.has(experiment))
        .map(([, from]) => ({ from, to: endMicros }))
      const active = lengthOf([...periods, ...open])
      return {
        total,
        active,
        percent: total > 0 ? (active / total) * 100 : 0,
        experiments: [...started.keys()],
        nodes: [...nodes].map(([node, state]) => toNodeTimes(node, state, endMicros, total)),
      }
    },
    copy: (start = startMicros) =>
      foldOf({
        startMicros: start,
        throughMicros,
        nodes: new Map([...nodes].map(([node, one]) => [node, { ...one, actions: new Set(one.actions) }])),
        started: new Map(started),
        running: new Set(running),
        periods: [...periods],
      }),
  }
}

function toNodeTimes(node: number, state: NodeState, endMicros: number, total: number): NodeTimes {
  const { activeSince, busySince } = state
  const openActive = activeSince === undefined ? 0 : secondsBetween(activeSince, endMicros)
  const openBusy = busySince === undefined ? 0 : secondsBetween(busySince, endMicros)
  const active = state.hasActive || activeSince !== undefined ? state.active + openActive : total
  const busy = state.busy + openBusy
  return {
    node,
    busy,
    idle: Math.max(0, active - busy),
    total,
    percent: active > 0 ? (busy / active) * 100 : 0,
    isBusy: state.actions.size > 0,
  }
}

/** Overlapping and touching periods are one. */
function lengthOf(periods: Period[]): number {
  if (periods.length === 0) return 0
  periods.sort((a, b) => a.from - b.from)
  let length = 0
  let { from, to } = periods[0]!
  for (const period of periods) {
    if (period.from <= to) to = Math.max(to, period.to)
    else {
      length += secondsBetween(from, to)
      from = period.from
      to = period.to
    }
  }
  return length + secondsBetween(from, to)
}
