import { type Span, silentMicros, uniteSpans } from './span.ts'

/** When something was heard of whom: spans without a longer silence. */
export interface Hearing {
  hear(id: string, at: number): void
  /** Sorted and apart from each other, from the first event to `silentMicros` after the last. */
  spansOf(ids: readonly (string | undefined)[]): Span[]
}

export function createHearing(): Hearing {
  const byId = new Map<string, Span[]>()

  return {
    hear(id, at) {
      const list = byId.get(id)
      if (!list) {
        byId.set(id, [{ start: at, end: at }])
        return
      }
      let index = list.length - 1
      while (index >= 0 && list[index]!.start > at) index--
      const [before, after] = [list[index], list[index + 1]]
      const joinsBefore = before !== undefined && at <= before.end + silentMicros
      const joinsAfter = after !== undefined && at >= after.start - silentMicros
      if (joinsBefore && joinsAfter) {
        before.end = after.end
        list.splice(index + 1, 1)
      } else if (joinsBefore) before.end = Math.max(before.end, at)
      else if (joinsAfter) after.start = at
      else list.splice(index + 1, 0, { start: at, end: at })
    },
    spansOf(ids) {
      const all = ids.flatMap((id) => (id === undefined ? [] : (byId.get(id) ?? [])))
      return uniteSpans(all.map(({ start, end }) => ({ start, end: end + silentMicros })))
    },
  }
}
