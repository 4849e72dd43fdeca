/** Calls while one is under way share its result: however many ask, the database is asked once at a time. */
export function shareCall<T>(call: () => Promise<T>): () => Promise<T> {
  const share = shareCalls<T>()
  return () => share('', call)
}

/** The same for calls of one key: those of another key are calls of their own. */
export function shareCalls<T>(): (key: string, call: () => Promise<T>) => Promise<T> {
  const running = new Map<string, Promise<T>>()
  return (key, call) => {
    const shared = running.get(key)
    if (shared) return shared
    const started = call().finally(() => running.delete(key))
    running.set(key, started)
    return started
  }
}
