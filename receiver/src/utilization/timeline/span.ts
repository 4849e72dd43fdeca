/** Microseconds since 1970. */
export interface Span {
  start: number
  end: number
}

/**
 * After that long without any event of a node, of its workcell or of its laboratory its state is unknown. MADSci's workcells
 * say every few seconds that they run since 0.7, but a node of 0.5 that has nothing to do says nothing all night.
 */
export const silentMicros = 86_400_000_000

/** Spans that overlap or touch as one. */
export function uniteSpans(spans: readonly Span[]): Span[] {
  const found: Span[] = []
  for (const { start, end } of [...spans].sort((x, y) => x.start - y.start)) {
    const last = found.at(-1)
    if (last && start <= last.end) last.end = Math.max(last.end, end)
    else found.push({ start, end })
  }
  return found
}
