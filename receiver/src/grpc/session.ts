import type { Http2Session, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'

export interface WatchedSession {
  readonly session: ServerHttp2Session
  /** Calls whose message has come whole and that have no reply yet. */
  answering: number
}

export interface WatchOptions {
  sessions: Set<WatchedSession>
  /** How long a call may be open, from its headers to the end of its reply, ms. */
  maxCallMs: number
  onEnd: (reason: string) => void
}

const watchedSessions = new WeakMap<Http2Session, WatchedSession>()
const sweepMs = 1000
/** Without a first call. */
const firstCallMs = 10_000
/** Without a call under way. A client that comes back later connects anew, as gRPC has it. */
const idleMs = 5 * 60_000
/** Between our GOAWAY, or theirs, and the end of the connection. */
const lastMs = 5000

/**
 * Ends connections that nobody uses: node:http2 keeps one for ever when its peer sent GOAWAY, broke off within a frame,
 * never sent a preface, or does not open the window for a reply.
 *
 *     connected ──first call──▶ busy ◀──▶ idle ──5 min──▶ GOAWAY ──5 s──▶ destroyed
 *         └─ 10 s without ─▶ destroyed          error or GOAWAY of the peer ──▲
 */
export function watchSession(session: ServerHttp2Session, options: WatchOptions): void {
  const { sessions, maxCallMs, onEnd } = options
  const watched: WatchedSession = { session, answering: 0 }
  sessions.add(watched)
  watchedSessions.set(session, watched)
  const calls = new Map<ServerHttp2Stream, number>()
  let hadCall = false
  let quietSinceMs = performance.now()
  let leavingSinceMs: number | undefined

  const leave = () => {
    leavingSinceMs ??= performance.now()
    if (!session.closed) session.close()
  }
  const end = (reason: string) => {
    onEnd(reason)
    session.destroy()
  }

  function sweep(): void {
    const nowMs = performance.now()
    const isStuck = [...calls.values()].some((startedMs) => nowMs - startedMs > maxCallMs)
    if (isStuck) end('a call without end')
    if (calls.size > 0) return
    if (leavingSinceMs !== undefined) {
      if (nowMs - leavingSinceMs > lastMs) end('left open')
    } else if (!hadCall && nowMs - quietSinceMs > firstCallMs) end('no call')
    else if (nowMs - quietSinceMs > idleMs) leave()
  }

  session.on('stream', (stream) => {
    hadCall = true
    calls.set(stream, performance.now())
    stream.once('close', () => {
      calls.delete(stream)
      if (calls.size === 0) quietSinceMs = performance.now()
    })
  })
  session.on('goaway', leave)
  session.on('error', () => session.destroy())
  session.on('frameError', () => session.destroy())
  const timer = setInterval(sweep, sweepMs)
  timer.unref()
  session.once('close', () => {
    clearInterval(timer)
    sessions.delete(watched)
  })
}

/** Counts a call as one that shutting down waits for. */
export async function whileAnswering<T>(
  session: Http2Session | undefined,
  answer: () => Promise<T>,
): Promise<T> {
  const watched = session && watchedSessions.get(session)
  if (watched) watched.answering++
  try {
    return await answer()
  } finally {
    if (watched) watched.answering--
  }
}
