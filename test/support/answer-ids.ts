/** Ids of the events of an answer of any length, in their order, each once; up to where `isEnough` says so. */
export async function readIds(
  answer: Response,
  isEnough = (_ids: ReadonlySet<string>) => false,
): Promise<string[]> {
  if (answer.status !== 200) throw new Error(`answered with ${answer.status}`)
  const ids = new Set<string>()
  let tail = ''
  for await (const chunk of answer.body!) {
    // An id may lie on both sides of a border between chunks.
    const text = tail + Buffer.from(chunk).toString('latin1')
    for (const [, id] of text.matchAll(/"_id":"(\w{26})"/g)) ids.add(id!)
    tail = text.slice(-100)
    if (isEnough(ids)) break
  }
  return [...ids]
}
