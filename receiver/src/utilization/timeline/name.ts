/**
 * Which id a name stands for. A node, a workcell or a workflow that is once spoken of by its name and once by its id is one
 * thing; who uses the name at an instant means the id that the name was last announced for, else the one that it was first
 * announced for afterwards. What was learned decides, not the order in which it was.
 *
 *     platereader_1   ···· N1 ├── N1 ──┤├── N2 ───▶
 */
export interface Names {
  /** An event that carries both. Gives from when on other ids are meant than before; undefined when nothing changes. */
  learn(kind: string, name: string, id: string, at: number): number | undefined
  resolve(kind: string, name: string, at: number): string | undefined
}

interface Announced {
  id: string
  from: number
  to: number
}

export function createNames(): Names {
  const byName = new Map<string, Announced[]>()
  const keyOf = (kind: string, name: string) => `${kind}:${name}`

  return {
    learn(kind, name, id, at) {
      const key = keyOf(kind, name)
      const list = byName.get(key)
      if (!list) {
        byName.set(key, [{ id, from: at, to: at }])
        return Number.NEGATIVE_INFINITY
      }
      let index = list.length
      while (index > 0 && isAfter(list[index - 1]!, at, id)) index--
      const [before, after] = [list[index - 1], list[index]]
      if (before?.id === id) {
        before.to = Math.max(before.to, at)
        return undefined
      }
      if (before && before.to > at) {
        // The name was given to another in the meantime.
        list.splice(index, 0, { id, from: at, to: at }, { ...before, from: before.to })
        before.to = at
        return at
      }
      if (after?.id === id) {
        after.from = at
        return before ? at : undefined
      }
      list.splice(index, 0, { id, from: at, to: at })
      return before ? at : Number.NEGATIVE_INFINITY
    },
    resolve(kind, name, at) {
      const list = byName.get(keyOf(kind, name))
      if (!list) return undefined
      let index = list.length - 1
      while (index > 0 && list[index]!.from > at) index--
      return list[index]!.id
    },
  }
}

function isAfter(one: Announced, at: number, id: string): boolean {
  return one.from > at || (one.from === at && one.id > id)
}
