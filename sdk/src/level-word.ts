import { diag } from './diagnostic.ts'
import { severityOfWord } from './event/severity-word.ts'

/**
 * The severity of a name of the program's own, by its neighbours in the order of its logger (least severe first): above all
 * that are below it, so that it never falls under what the logger itself lets through. Undefined when nothing is known.
 */
export function severityByOrder(name: string, order: readonly string[]): number | undefined {
  const place = order.indexOf(name)
  if (place < 0) return undefined
  const known = (one: string) => severityOfWord(one)
  const below = order
    .slice(0, place)
    .map(known)
    .findLast((one) => one !== undefined)
  const above = order
    .slice(place + 1)
    .map(known)
    .find((one) => one !== undefined)
  if (below === undefined) return above === undefined ? undefined : Math.max(1, above - 1)
  return Math.min(below + 1, above ?? 24, 24)
}

const told = new Set<string>()
const maxTold = 100

/** One line for each word that is no level to us. */
export function tellUnknownLevel(word: unknown, taken: string): void {
  const text = String(word).slice(0, 40)
  if (told.has(text) || told.size >= maxTold) return
  told.add(text)
  diag.warn('madsci-events', `the level '${text}' is none that we know: it counts as ${taken}`)
}
