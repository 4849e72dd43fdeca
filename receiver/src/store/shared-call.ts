/** Calls while one is under way share its result: however many ask, the database is asked once at a time. */
export function shareCall<T>(call: () => Promise<T>): () => Promise<T> {
  const share = shareCalls<T>()
  return () => share('', call)
}

export interface Sharing {
  /** Of who asks: it waits no longer then, and the call ends when nobody waits for it. */
  signal: AbortSignal
}

interface Running<T> {
  result: Promise<T>
  ending: AbortController
  waiting: number
}

/**
 * The same for calls of one key: those of another key are calls of their own. Who asks with a signal and joined a call of
 * somebody else that fails makes its own: the trouble may be that of the other one.
 */
export function shareCalls<T>(): (
  key: string,
  call: (signal: AbortSignal) => Promise<T>,
  sharing?: Sharing,
) => Promise<T> {
  const running = new Map<string, Running<T>>()

  function start(key: string, call: (signal: AbortSignal) => Promise<T>): Running<T> {
    const ending = new AbortController()
    const started: Running<T> = { ending, waiting: 0, result: call(ending.signal) }
    const forget = () => {
      if (running.get(key) === started) running.delete(key)
    }
    started.result.then(forget, forget)
    ending.signal.addEventListener('abort', forget, { once: true })
    running.set(key, started)
    return started
  }

  function join(one: Running<T>, signal: AbortSignal | undefined): Promise<T> {
    one.waiting++
    if (!signal) return one.result
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason)
        if (--one.waiting === 0) one.ending.abort(signal.reason)
      }
      if (signal.aborted) return leave()
      signal.addEventListener('abort', leave, { once: true })
      const settled = () => signal.removeEventListener('abort', leave)
      one.result.then(resolve, reject).finally(settled)
    })
  }

  return async (key, call, sharing) => {
    const signal = sharing?.signal
    const other = running.get(key)
    if (!other) return join(start(key, call), signal)
    try {
      return await join(other, signal)
    } catch (error) {
      if (!signal || signal.aborted) throw error
      return call(signal)
    }
  }
}
