/**
 * The exact engine once more, as plainly as possible: it plays the events one after another into plain objects, derives the
 * state of everything anew after each of them, and writes down where a state differs from the one before. Slow, and written
 * without looking at the engine's machinery: no lists of stretches, no counters, no indexes, no way back.
 */

export interface PlainEvent {
  id: string
  type: string
  /** Microseconds since 1970. */
  at: number
  source: { [key: string]: string }
  data: { [key: string]: unknown }
}

export interface PlainInterval {
  state: string
  cause: string
  start: number
  end: number
  begunBy: string | null
  endedBy: string | null
}

interface PlainRun {
  kind: string
  id: string
  anonymous: boolean
  state: string
  cause: string
  ran: boolean
  lost: boolean
  outcome: string | undefined
  links: { [key: string]: string }
  omitted: number
  declared: string
  stepsSeen: boolean
  stepFailed: boolean
}

interface PlainPlace {
  kind: string
  id: string
  up: boolean | undefined
  flags: string[]
  listed: string[]
}

const order = (a: PlainEvent, b: PlainEvent) => a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
const linksOf: { [kind: string]: string[] } = {
  campaign: ['lab_id', 'workcell_id'],
  experiment: ['lab_id', 'workcell_id', 'campaign_id'],
  workflow: ['lab_id', 'workcell_id', 'campaign_id', 'experiment_id'],
  step: ['lab_id', 'workcell_id', 'campaign_id', 'experiment_id', 'workflow_id', 'node_id'],
  action: ['lab_id', 'workcell_id', 'campaign_id', 'experiment_id', 'workflow_id', 'step_id', 'node_id'],
}
const statusWords: { [word: string]: string } = {
  not_started: 'queued',
  running: 'running',
  paused: 'paused',
  unknown: 'unknown',
  succeeded: 'completed',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  not_ready: 'cancelled',
}
const ends = ['completed', 'failed', 'cancelled']
const plainStates: { [phase: string]: [string, string] } = {
  queued: ['idle', 'queued'],
  running: ['busy', 'running'],
  paused: ['down', 'paused'],
  unknown: ['unknown', 'unclear'],
}

/** The intervals of everything within a window, by `kind:id`; and the outcome of what ended. */
export function plainTimeline(
  given: readonly PlainEvent[],
  window: { start: number; end: number },
): { intervals: Map<string, PlainInterval[]>; outcomes: Map<string, string> } {
  const runs = new Map<string, PlainRun>()
  const places = new Map<string, PlainPlace>()
  const changes = new Map<string, { at: number; id: string | null; state: string; cause: string }[]>()
  const seen = new Set<string>()

  const place = (kind: string, id: string): PlainPlace => {
    const key = `${kind}:${id}`
    if (!places.has(key)) places.set(key, { kind, id, up: undefined, flags: [], listed: [] })
    return places.get(key)!
  }
  const run = (kind: string, id: string, anonymous = false): PlainRun => {
    const key = `${kind}:${id}`
    if (!runs.has(key))
      runs.set(key, {
        kind,
        id,
        anonymous,
        state: '',
        cause: '',
        ran: false,
        lost: false,
        outcome: undefined,
        links: {},
        omitted: 0,
        declared: 'queued',
        stepsSeen: false,
        stepFailed: false,
      })
    return runs.get(key)!
  }
  const all = () => [...runs.values()]
  const isOpen = (one: PlainRun) => one.state !== '' && one.state !== 'over'
  const placesOf = (one: PlainRun): PlainPlace[] => {
    if (one.kind !== 'action' && one.kind !== 'workflow') return []
    const kinds = one.kind === 'action' ? ['node', 'workcell', 'lab'] : ['workcell', 'lab']
    return kinds.flatMap((kind) => {
      const id = one.links[`${kind}_id`]
      return id === undefined ? [] : [place(kind, id)]
    })
  }
  const busyIn = (one: PlainPlace) =>
    all().filter((other) => other.state === 'busy' && placesOf(other).includes(one))

  const set = (one: PlainRun, state: string, cause: string) => {
    one.state = state
    one.cause = cause
  }
  const unlist = (one: PlainRun) => {
    for (const node of placesOf(one).filter(({ kind }) => kind === 'node'))
      node.listed = node.listed.filter((id) => id !== one.id)
  }
  const over = (one: PlainRun, outcome: string, lost: boolean) => {
    const wasOpen = isOpen(one)
    set(one, 'over', 'over')
    one.outcome = outcome
    one.lost = lost
    if (one.kind === 'action') unlist(one)
    if (one.kind === 'workflow' && wasOpen)
      for (const step of all())
        if (step.kind === 'step' && step.links.workflow_id === one.id && isOpen(step))
          over(step, 'unknown', true)
    if (one.kind === 'experiment' && wasOpen)
      for (const other of all())
        if (other.kind === 'workflow' && other.links.experiment_id === one.id && other.state === 'idle')
          over(other, 'unknown', true)
  }
  const workflowState = (one: PlainRun): [string, string] => {
    const running = all().some(
      (step) => step.kind === 'step' && step.links.workflow_id === one.id && step.state === 'busy',
    )
    if (one.declared === 'paused') return ['down', 'paused']
    if (running) return ['busy', 'running']
    if (one.stepFailed) return ['error', 'step_failed']
    if (one.stepsSeen) return ['idle', 'waiting']
    if (one.declared === 'queued') return ['idle', 'queued']
    return ['busy', one.declared]
  }
  const refresh = (one: PlainRun) => {
    const [state, cause] = workflowState(one)
    if (state === 'busy') one.ran = true
    set(one, state, cause)
  }
  const learn = (one: PlainRun, links: { [key: string]: string }) => {
    const hadNode = one.links.node_id !== undefined
    for (const key of linksOf[one.kind]!) {
      const id = links[key]
      if (id !== undefined) one.links[key] ??= id
    }
    for (const one_ of placesOf(one)) one_.up ??= true
    // A node that is named only now does not run what is over already.
    if (one.kind === 'action' && one.state === 'over' && !hadNode) unlist(one)
  }
  /** False when the phase does not count. */
  const advance = (one: PlainRun, phase: string): boolean => {
    const isEnd = ends.includes(phase)
    if (one.state === 'over') {
      if (isEnd) {
        if (one.lost) one.outcome = phase
        one.lost = false
        return false
      }
      const again = phase === 'running' && one.ran && (one.kind !== 'action' || one.anonymous)
      if (!one.lost && !again) return false
      one.lost = false
      one.outcome = undefined
    }
    if (isEnd) over(one, phase, false)
    else {
      one.omitted = 0
      if (phase === 'running' && one.kind !== 'workflow') one.ran = true
      if (one.kind !== 'workflow') set(one, ...plainStates[phase]!)
    }
    return true
  }

  function play(event: PlainEvent): void {
    const { source, data } = event
    const isLog = event.type.startsWith('log')
    const type = isLog ? String(data.event_type ?? '') : event.type
    const links: { [key: string]: string } = {}
    for (const key of [...linksOf.action!]) {
      const id = source[key] ?? data[key]
      if (typeof id === 'string') links[key] = id
    }
    const kind = /^(lab|workcell|node|campaign|experiment|action)_/.exec(type)?.[1]
    const what = kind && type.slice(kind.length + 1)
    if (kind === 'lab' || kind === 'workcell' || kind === 'node') {
      const one = place(kind, links[`${kind}_id`]!)
      const below = all().filter(
        (other) =>
          isOpen(other) &&
          ((kind === 'node' && other.kind === 'action' && other.links.node_id === one.id) ||
            (kind === 'workcell' && other.kind === 'workflow' && other.links.workcell_id === one.id)),
      )
      if (what === 'start' || what === 'stop') {
        for (const other of below) over(other, 'unknown', true)
        one.up = what === 'start'
        one.flags = []
        one.listed = []
      } else if (what === 'error') one.flags = [...one.flags, 'errored']
      else if (what === 'status_update') {
        const list = data.running_actions as string[] | undefined
        if (kind === 'node' && list)
          for (const other of below) {
            if (list.includes(other.id)) other.omitted = 0
            else if (++other.omitted >= 2) over(other, 'unknown', true)
          }
        one.up = true
        one.flags = Object.keys(data).filter((name) => data[name] === true)
        one.listed = list ?? []
      }
    } else if (kind === 'action') {
      const own = data.action_id as string | undefined
      const parts = [links.step_id, links.node_id, data.action].filter((part) => part !== undefined)
      const one = run('action', own ?? parts.join('/'), own === undefined)
      learn(one, links)
      const status = statusWords[String(data.status)]
      if (what === 'start') advance(one, 'running')
      else if (what === 'failed') advance(one, 'failed')
      else if (what === 'complete') advance(one, status && ends.includes(status) ? status : 'completed')
      else if (status) advance(one, status)
    } else if (kind === 'experiment' || kind === 'campaign') {
      const one = run(kind, links[`${kind}_id`]!)
      learn(one, links)
      const phases: { [name: string]: string } = {
        create: 'queued',
        start: 'running',
        continued: 'running',
        pause: 'paused',
        complete: 'completed',
        failed: 'failed',
        cancelled: 'cancelled',
        abort: 'cancelled',
      }
      advance(one, phases[what!]!)
    } else if (type.startsWith('workflow_step_')) {
      const one = run('step', links.step_id!)
      const begins = type === 'workflow_step_start'
      learn(one, links)
      const counts = advance(
        one,
        begins ? 'running' : type === 'workflow_step_failed' ? 'failed' : 'completed',
      )
      if (one.links.workflow_id === undefined) return
      const workflow = run('workflow', one.links.workflow_id)
      learn(workflow, links)
      if (!counts) return
      workflow.stepsSeen = true
      workflow.stepFailed = type === 'workflow_step_failed'
      if (workflow.state !== 'over') refresh(workflow)
      else if (workflow.lost && begins && workflow.declared !== 'paused') {
        workflow.lost = false
        workflow.outcome = undefined
        refresh(workflow)
      }
    } else if (type.startsWith('workflow_')) {
      const one = run('workflow', links.workflow_id!)
      learn(one, links)
      const status = data.status as { [flag: string]: boolean } | undefined
      if (type === 'workflow_complete' || type === 'workflow_abort') {
        const said = status && ends.find((word) => status[word])
        advance(one, type === 'workflow_abort' ? 'cancelled' : (said ?? 'completed'))
        return
      }
      const wasOver = one.state === 'over'
      const begins = type === 'workflow_start'
      if (!advance(one, begins ? 'running' : 'queued')) return
      if (wasOver) one.stepsSeen = false
      if (begins) one.stepFailed = false
      const isEnded = ends.some((word) => status?.[word])
      if (status?.paused && !isEnded) one.declared = 'paused'
      else if (status?.running && !isEnded) one.declared = 'running'
      else one.declared = !begins || (status?.running === false && !isEnded) ? 'queued' : 'started'
      refresh(one)
    }
  }

  const derive = (one: PlainPlace): [string, string] => {
    const has = (flag: string) => one.flags.includes(flag)
    if (one.up === false || has('stopped') || has('shutdown')) return ['down', 'stopped']
    if (has('disconnected')) return ['down', 'disconnected']
    if (has('errored')) return ['error', 'errored']
    if (has('paused')) return ['down', 'paused']
    if (busyIn(one).length > 0) return ['busy', 'running']
    if (has('busy') || one.listed.length > 0) return ['busy', 'busy']
    for (const flag of ['locked', 'initializing']) if (has(flag)) return ['down', flag]
    return one.up ? ['idle', 'ready'] : ['unknown', 'unheard']
  }

  for (const event of [...given].sort(order)) {
    if (seen.has(event.id)) continue
    seen.add(event.id)
    const busyBefore = new Set(all().filter((one) => one.state === 'busy'))
    const placesBefore = new Map(all().map((one) => [one, placesOf(one)]))
    const flagsBefore = new Map([...places.values()].map((one) => [one, one.flags]))
    play(event)
    for (const one of all()) {
      const isBusy = one.state === 'busy'
      if (isBusy === busyBefore.has(one)) continue
      // What only its end places somewhere was never busy there.
      for (const where of isBusy ? placesOf(one) : placesBefore.get(one)!) {
        if (isBusy) where.up = true
        if (where.kind !== 'node') continue
        if (isBusy) where.flags = []
        // What a status says in this very event counts as said after it.
        else if (busyIn(where).length === 0 && where.flags === (flagsBefore.get(where) ?? where.flags))
          where.flags = where.flags.filter((flag) => flag !== 'busy')
      }
    }
    const now: [string, [string, string]][] = [
      ...[...places.values()].map((one): [string, [string, string]] => [
        `${one.kind}:${one.id}`,
        derive(one),
      ]),
      ...all()
        .filter((one) => one.state !== '')
        .map((one): [string, [string, string]] => [`${one.kind}:${one.id}`, [one.state, one.cause]]),
    ]
    for (const [key, [state, cause]] of now) {
      if (!changes.has(key))
        changes.set(
          key,
          places.has(key)
            ? [{ at: Number.NEGATIVE_INFINITY, id: null, state: 'unknown', cause: 'unheard' }]
            : [],
        )
      const list = changes.get(key)!
      const last = list.at(-1)
      if (last && last.state === state && last.cause === cause) continue
      list.push({ at: event.at, id: event.id, state, cause })
    }
  }

  const intervals = new Map<string, PlainInterval[]>()
  for (const [key, list] of changes) {
    // Of the changes at one instant the last counts; what then is as before never changed.
    const lasting = list.filter((change, index) => list[index + 1]?.at !== change.at)
    const distinct = lasting.filter((change, index) => {
      const previous = lasting[index - 1]
      return !(previous && previous.state === change.state && previous.cause === change.cause)
    })
    const found = distinct.flatMap((change, index): PlainInterval[] => {
      const next = distinct[index + 1]
      const start = Math.max(change.at, window.start)
      const end = Math.min(next?.at ?? window.end, window.end)
      if (change.state === 'over' || start >= end) return []
      const { state, cause } = change
      return [{ state, cause, start, end, begunBy: change.id, endedBy: next?.id ?? null }]
    })
    if (found.length > 0) intervals.set(key, found)
  }
  const outcomes = new Map(
    all()
      .filter((one) => one.state === 'over')
      .map((one) => [`${one.kind}:${one.id}`, one.outcome!]),
  )
  return { intervals, outcomes }
}
