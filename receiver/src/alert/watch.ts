import type { Event } from '@madsci-events/sdk/event'
import type { Sighting } from '../store/alert-store.ts'
import { createWatch } from './match.ts'
import { fromPlainRule, type PlainRule } from './plain-rule.ts'

/** For the thread that decodes large bodies. `rules` is what `toWatch` made of them. */
export function watch(rules: readonly PlainRule[]): (event: Event) => Sighting[] {
  return createWatch(rules.map(fromPlainRule))
}
