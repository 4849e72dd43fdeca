import { EventError } from '@madsci-events/sdk/event'
import type { EventStore, FindOptions } from '../store/event-store.ts'
import { workerUrl } from '../store/worker-url.ts'
import { type Caller, createCaller } from '../thread-call.ts'
import { type PlainRule, toPlainRule } from './plain-rule.ts'
import type { Rule, RuleSet } from './rule.ts'

export interface PreviewRange extends Pick<FindOptions, 'signal'> {
  client: string
  /** Canonical timestamps. */
  startTime: string
  endTime: string
  timeoutMs: number
}

export interface Preview {
  events: number
  matched: number
  alerts: number
  messages: number
  /** The first messages. */
  firings: { at: string; kind: string; key: string; count: number; why: string; event_ids: string[] }[]
  /** Not every message is listed. */
  isCut: boolean
}

export type PreviewWindows = Pick<RuleSet, 'quiet' | 'maintenance'>

export interface PreviewTask {
  rule: PlainRule
  windows: PreviewWindows
  startTime: string
  endTime: string
}

/** A task; JSON of stored events, oldest first; then the end. */
export type ToPreviewThread =
  | { kind: 'begin'; task: PreviewTask }
  | { kind: 'events'; texts: string[] }
  | { kind: 'end' }

// Each has a thread and some of the events in memory.
const most = { all: 2, client: 1 }
// Most previews take less time than a new thread takes to load its modules.
const idleMs = 30_000

/**
 * Rules are tried on history in a thread each, while the store reads on:
 *
 *     query ▶ JSON ═▶ thread: parse ▶ match ▶ machine ═▶ preview
 *
 * Two at once, one of each client: more throw EVT_OVERLOAD. Throws what a query throws, too.
 */
export function createPreviews({ store, windows }: { store: EventStore; windows: PreviewWindows }) {
  const threads = createThreads()
  const running = new Map<string, number>()
  let all = 0

  return async (rule: Rule, range: PreviewRange): Promise<Preview> => {
    const { client } = range
    const own = running.get(client) ?? 0
    if (all >= most.all || own >= most.client)
      throw new EventError('EVT_OVERLOAD', 'Too many previews are under way')
    running.set(client, own + 1)
    all++
    try {
      return await previewRule({ store, threads }, { rule, windows, range })
    } finally {
      all--
      if (own > 0) running.set(client, own)
      else running.delete(client)
    }
  }
}

export type RunPreview = ReturnType<typeof createPreviews>

async function previewRule(
  { store, threads }: { store: EventStore; threads: Threads },
  {
    rule,
    windows: { quiet, maintenance },
    range,
  }: { rule: Rule; windows: PreviewWindows; range: PreviewRange },
): Promise<Preview> {
  const { client, startTime, endTime, timeoutMs, signal } = range
  const task: PreviewTask = {
    rule: toPlainRule(rule),
    windows: { quiet, maintenance },
    startTime,
    endTime,
  }
  const thread = threads.take()
  const query = {
    startTime,
    endTime,
    archived: 'include',
    order: 'oldest',
    limit: 0,
    offset: 0,
    timeoutMs,
  } as const
  let isReusable = false
  try {
    await thread.call({ kind: 'begin', task })
    for await (const chunk of store.find(query, { client, ...(signal && { signal }) }))
      await thread.call({ kind: 'events', texts: chunk.map(({ json }) => json) })
    const preview = (await thread.call({ kind: 'end' }))!
    isReusable = true
    return preview
  } finally {
    if (isReusable) threads.giveBack(thread)
    else await thread.close()
  }
}

/** One question after the other; the last one is answered with the preview. */
type Thread = Caller<ToPreviewThread, Preview | undefined, never>

type Threads = ReturnType<typeof createThreads>

/** Threads for one preview after the other; one that is not asked for `idleMs` ends. */
function createThreads() {
  const idle = new Map<Thread, NodeJS.Timeout>()
  const end = (thread: Thread) => {
    idle.delete(thread)
    void thread.close()
  }
  return {
    take(): Thread {
      for (const [thread, timer] of idle) {
        clearTimeout(timer)
        idle.delete(thread)
        return thread
      }
      return openThread()
    },
    giveBack(thread: Thread): void {
      idle.set(thread, setTimeout(() => end(thread), idleMs).unref())
    },
  }
}

const openThread = (): Thread =>
  createCaller({
    file: workerUrl('../alert/preview-worker'),
    workerData: {},
    maxHeapMb: 256,
    toError: (cause) => new EventError('EVT_INTERNAL', 'The thread of the preview has died', { cause }),
  })
