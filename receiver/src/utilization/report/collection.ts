export interface List<Item> {
  readonly items: Item[]
  add(item: Item): void
  settle(): void
}

/** In the order of time, equal ones in the order of their arrival. */
export function createList<Item extends { micros: number }>(): List<Item> {
  const items: Item[] = []
  let isSorted = true
  return {
    items,
    add(item) {
      const last = items.at(-1)
      if (last && item.micros < last.micros) isSorted = false
      items.push(item)
    },
    settle() {
      if (!isSorted) items.sort((a, b) => a.micros - b.micros)
      isSorted = true
    },
  }
}

/** Texts by number, from 1 on; 0 stands for none. */
export function createInterned() {
  const indexes = new Map<string, number>()
  const texts: string[] = ['']
  return {
    indexOf(text: string): number {
      let index = indexes.get(text)
      if (index === undefined) {
        index = texts.length
        // Behind a short slice may stand the whole document.
        const own = Buffer.from(text).toString()
        texts.push(own)
        indexes.set(own, index)
      }
      return index
    },
    textOf: (index: number) => texts[index] ?? '',
  }
}

/** Names of things, from the first events that speak of them. */
export function createNames(mostLooks: number) {
  const found = new Map<string, { looks: number; name: string | undefined }>()
  return {
    /** In the first events alone; the first text that is not empty. */
    look(id: string, candidates: unknown[]): void {
      let entry = found.get(id)
      if (!entry) {
        entry = { looks: 0, name: undefined }
        found.set(id, entry)
      }
      if (entry.looks >= mostLooks) return
      entry.looks++
      if (entry.name !== undefined) return
      const name = candidates.find((one) => typeof one === 'string' && one.trim() !== '')
      if (name !== undefined) entry.name = (name as string).trim()
    },
    of: (id: string) => found.get(id)?.name,
  }
}
