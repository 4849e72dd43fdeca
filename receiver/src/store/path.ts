/** Of a path: a name of a document may have dots, so that one path has 2 ** (names - 1) readings. */
export const maxPathNames = 16

/**
 * The keys that a path may mean, by the place where they begin and how many names they take, less one:
 * of `a.b.c` at 1 `b` and `b.c`.
 */
export type PathKeys = readonly (readonly string[])[]

export function keysOf(names: readonly string[]): PathKeys {
  return names.map((_, from) =>
    names.slice(from).map((_, more) => names.slice(from, from + more + 1).join('.')),
  )
}
