import type { Value } from '@madsci-events/sdk/event'

/** A checked selector. `source` is the normalised MongoDB filter: only operators of the closed list, bounded in size. */
export interface Selector {
  readonly source: { readonly [key: string]: Value }
}
