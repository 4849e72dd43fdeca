/**
 * The index of ids. A posting says which events of a block hold an id:
 *
 *     part (65,536 events) ── key (hash of path and id) ── block (1,024 events) ── bits or places of the events
 *
 * An index of SQLite for each path makes a commit three to six times as long; postings are written by blocks, behind the commit,
 * and cost a few rows a block. They only grow stale: `seq` never comes twice and ids of an event never change, so a posting of a
 * deleted event leads to nothing, and events that were stored by a release without the index lie behind `indexed_seq`.
 */
export const blockEvents = 1024
export const partBlocks = 64

const bitmapBytes = blockEvents / 8

/** Places in a block, ascending: 16 bits each, or one bit for each event of the block where that is shorter. */
export function encodePlaces(places: readonly number[]): Uint8Array {
  if (places.length * 2 < bitmapBytes) {
    const bytes = Buffer.alloc(places.length * 2)
    for (const [i, place] of places.entries()) bytes.writeUInt16LE(place, i * 2)
    return bytes
  }
  const bytes = new Uint8Array(bitmapBytes)
  for (const place of places) bytes[place >> 3]! |= 1 << (place & 7)
  return bytes
}

export function decodePlaces(bytes: Uint8Array): number[] {
  const places: number[] = []
  if (bytes.length < bitmapBytes) {
    for (let at = 0; at + 1 < bytes.length; at += 2) places.push(bytes[at]! | (bytes[at + 1]! << 8))
    return places
  }
  for (let place = 0; place < blockEvents; place++)
    if (bytes[place >> 3]! & (1 << (place & 7))) places.push(place)
  return places
}
